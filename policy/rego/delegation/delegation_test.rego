package trilemma.delegation_test

import data.trilemma.delegation

_child := {"grants": ["internet"], "down": [], "wider": [], "over": []}

_facts := {
	"act": "delegation",
	"needs": [],
	"label": [],
	"held": ["files"],
	"delegation": _child,
}

_with(changes) := object.union(_facts, {"delegation": object.union(_child, changes)})

test_a_sub_agent_of_its_own_kind_is_called if {
	delegation.ok with input as _facts
	delegation.reasons == set() with input as _facts
}

test_other_acts_are_not_this_rules_concern if {
	delegation.ok with input as {"act": "tool"}
	delegation.reasons == set() with input as {"act": "tool"}
}

test_a_wider_sub_agent_is_not_called if {
	not delegation.ok with input as _with({"wider": ["tools"]})
	delegation.reasons == {"delegation_wider"} with input as _with({"wider": ["tools"]})
}

test_a_tree_at_its_limit_grows_no_more if {
	not delegation.ok with input as _with({"over": ["team_depth"]})
	delegation.reasons == {"team_depth"} with input as _with({"over": ["team_depth"]})
}

test_a_task_may_not_bring_what_the_sub_agent_was_not_granted if {
	not delegation.ok with input as _with({"down": ["files"]})
	delegation.reasons == {"outside_grants"} with input as _with({"down": ["files"]})
}

test_a_task_may_not_bring_the_third if {
	asks := _with({"down": ["files", "code"]})
	not delegation.ok with input as asks
	delegation.reasons == {"delegation_third"} with input as asks
}

test_a_sub_agent_without_grants_latches_what_the_task_brings if {
	delegation.ok with input as _with({"grants": null, "down": ["files", "code"]})
	not delegation.ok with input as _with({"grants": null, "down": ["files", "internet", "code"]})
}

test_an_answer_may_not_bring_the_third if {
	asks := object.union(_facts, {"held": ["files", "code"], "label": ["internet"]})
	not delegation.ok with input as asks
	delegation.reasons == {"delegation_third"} with input as asks
}

test_nothing_missing_is_judged if {
	every name in ["grants", "down", "wider", "over"] {
		child := object.remove(_child, [name])
		not delegation.ok with input as object.union(
			object.remove(_facts, ["delegation"]),
			{"delegation": child},
		)
	}
}
