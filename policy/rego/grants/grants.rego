# METADATA
# title: Grants
# description: What a domain holds stays within the pair that was fixed at its start.
package trilemma.grants

default ok := false

# METADATA
# title: Whether the act stays within the grants
ok if {
	is_null(input.grants)
} else if {
	is_array(input.grants)
	every capability in array.concat(input.held, array.concat(input.needs, input.label)) {
		capability in input.grants
	}
}

# METADATA
# title: Why it does not
reasons contains "outside_grants" if not ok
