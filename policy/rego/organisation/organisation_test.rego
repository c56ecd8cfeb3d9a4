package organisation_test

import data.organisation

test_nothing_is_refused_by_default if {
	organisation.deny == set() with input as {"act": "tool"}
}
