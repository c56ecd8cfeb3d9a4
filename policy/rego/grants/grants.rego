# METADATA
# title: Grants
# description: |
#   What a domain holds stays within the pair that was fixed at its start, and what a sub-agent
#   does within the share of it that it was given.
package trilemma.grants

default ok := false

# METADATA
# title: Whether the act stays within the grants
ok if {
	every name in ["held", "needs", "label"] {
		is_array(input[name])
	}
	_within(input.grants, array.concat(input.held, array.concat(input.needs, input.label)))
	_within(input.share, array.concat(input.needs, input.label))
}

_within(pair, capabilities) if {
	is_null(pair)
} else if {
	is_array(pair)
	every capability in capabilities {
		capability in pair
	}
}

# METADATA
# title: Why it does not
reasons contains "outside_grants" if not ok
