package trilemma.grants_test

import data.trilemma.grants

_facts := {
	"held": ["files"],
	"needs": ["internet"],
	"label": [],
	"grants": ["files", "internet"],
	"share": null,
}

test_acts_within_the_grants_pass if {
	grants.ok with input as _facts
	grants.reasons == set() with input as _facts
}

test_without_grants_this_rule_refuses_nothing if {
	grants.ok with input as object.union(_facts, {"grants": null})
}

test_no_grants_at_all_refuse_everything if {
	not grants.ok with input as object.union(_facts, {"grants": []})
}

test_nothing_is_taken_outside_the_grants if {
	every name in ["held", "needs", "label"] {
		facts := object.union(_facts, {name: ["code"]})
		not grants.ok with input as facts
		grants.reasons == {"outside_grants"} with input as facts
	}
}

test_grants_that_are_no_list_refuse if {
	every wrong in ["files", {"files": true}, true, 3] {
		not grants.ok with input as object.union(_facts, {"grants": wrong})
	}
}

test_missing_grants_refuse if {
	every name in ["grants", "share"] {
		not grants.ok with input as object.remove(_facts, [name])
	}
}

test_a_sub_agent_stays_within_its_share_whatever_its_domain_holds if {
	grants.ok with input as object.union(_facts, {"share": ["internet"]})
	every share in [[], ["files"]] {
		facts := object.union(_facts, {"share": share})
		not grants.ok with input as facts
		grants.reasons == {"outside_grants"} with input as facts
	}
}

test_a_share_never_widens_the_grants if {
	not grants.ok with input as object.union(_facts, {
		"grants": ["files"],
		"share": ["files", "internet"],
	})
}
