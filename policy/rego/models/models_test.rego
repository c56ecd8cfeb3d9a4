package trilemma.models_test

import data.trilemma.models

_outside := {"act": "model", "needs": [], "model": {"inside": false, "under_contract": false}}

test_an_outside_model_uses_the_internet if {
	not models.ok with input as _outside
	models.reasons == {"outside_model_without_internet"} with input as _outside
	models.ok with input as object.union(_outside, {"needs": ["internet"]})
}

test_an_inside_model_does_not if {
	models.ok with input as object.union(_outside, {"model": {"inside": true}})
}

test_a_provider_under_contract_does_not if {
	models.ok with input as object.union(_outside, {"model": {"under_contract": true}})
}

test_only_true_is_true if {
	every wrong in ["true", 1, null] {
		not models.ok with input as object.union(_outside, {"model": {"inside": wrong}})
		not models.ok with input as object.union(_outside, {"model": {"under_contract": wrong}})
	}
}

test_other_acts_are_not_judged_here if {
	models.ok with input as {"act": "tool"}
}
