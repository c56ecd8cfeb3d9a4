package trilemma.pick_two_test

import data.trilemma.pick_two

test_two_are_enough if {
	facts := {"held": ["files"], "needs": ["internet"], "label": ["files"]}
	pick_two.ok with input as facts
	pick_two.reasons == set() with input as facts
}

test_a_third_is_refused_wherever_it_comes_from if {
	all := [["files"], ["internet"], ["code"]]
	every order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
		facts := {"held": all[order[0]], "needs": all[order[1]], "label": all[order[2]]}
		not pick_two.ok with input as facts
		pick_two.reasons == {"third_capability"} with input as facts
	}
}

test_three_at_once_are_refused if {
	not pick_two.ok with input as {"held": [], "needs": ["files", "internet", "code"], "label": []}
}

test_what_is_missing_is_no_room if {
	facts := {"held": [], "needs": [], "label": []}
	pick_two.ok with input as facts
	every name in object.keys(facts) {
		not pick_two.ok with input as object.remove(facts, [name])
	}
}
