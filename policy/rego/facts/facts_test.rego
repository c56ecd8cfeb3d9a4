package trilemma.facts_test

import data.trilemma.facts

_facts := {
	"version": 1,
	"act": "tool",
	"needs": ["files"],
	"label": [],
	"held": ["internet"],
	"grants": null,
	"tool": {"name": "read_file"},
}

test_whole_facts_are_judged if {
	facts.ok with input as _facts
	facts.reasons == set() with input as _facts
}

test_nothing_missing_is_judged if {
	every name in ["version", "act", "needs", "label", "held", "tool"] {
		not facts.ok with input as object.remove(_facts, [name])
	}
}

test_another_version_is_not_judged if {
	not facts.ok with input as object.union(_facts, {"version": 2})
	facts.reasons == {"malformed_facts"} with input as object.union(_facts, {"version": 2})
}

test_an_unknown_act_is_not_judged if {
	not facts.ok with input as object.union(_facts, {"act": "dream", "dream": {}})
}

test_an_act_without_its_part_is_not_judged if {
	not facts.ok with input as object.union(_facts, {"act": "model", "model": null})
}

test_an_unknown_capability_is_not_judged if {
	every name in ["needs", "label", "held"] {
		not facts.ok with input as object.union(_facts, {name: ["Files"]})
	}
}

test_a_set_that_is_no_list_is_not_judged if {
	every name in ["needs", "label", "held"] {
		every wrong in [null, "files", {"files": true}, 1] {
			not facts.ok with input as object.union(_facts, {name: wrong})
		}
	}
}

test_a_workspace_always_uses_files if {
	opening := object.union(_facts, {"act": "workspace", "workspace": {}})
	facts.ok with input as opening
	not facts.ok with input as object.union(opening, {"needs": []})
}

test_egress_always_uses_the_internet if {
	leaving := object.union(_facts, {"act": "egress", "egress": {}, "needs": ["internet"]})
	facts.ok with input as leaving
	not facts.ok with input as object.union(leaving, {"needs": ["files"]})
}
