# METADATA
# title: Delegation
# description: |
#   A sub-agent has no more than the agent that calls it. What crosses freely to it stays within
#   its own pair; what crosses back counts as a label, as with every act.
package trilemma.delegation

import data.trilemma.pick_two

default ok := false

# METADATA
# title: Whether the task may be handed on
ok if {
	input.act != "delegation"
} else if {
	_readable
	count(input.delegation.wider) == 0
	count(input.delegation.over) == 0
	_one_stays_out
	_within
	pick_two.ok
}

# METADATA
# title: Why it may not
reasons contains "malformed_facts" if {
	input.act == "delegation"
	not _readable
}

reasons contains "delegation_wider" if {
	_handing_on
	count(input.delegation.wider) > 0
}

reasons contains code if {
	_handing_on
	some code in input.delegation.over
}

reasons contains "delegation_third" if {
	_handing_on
	not pick_two.ok
}

reasons contains "delegation_third" if {
	_handing_on
	not _one_stays_out
}

reasons contains "outside_grants" if {
	_handing_on
	_one_stays_out
	not _within
}

_handing_on if {
	input.act == "delegation"
	_readable
}

_readable if {
	every name in ["wider", "over", "down"] {
		is_array(input.delegation[name])
	}
	_is_pair(input.delegation.grants)
}

_is_pair(grants) if is_null(grants)

_is_pair(grants) if is_array(grants)

_one_stays_out if {
	some capability in ["files", "internet", "code"]
	not capability in _pair
	not capability in input.delegation.down
}

_within if {
	is_null(input.delegation.grants)
} else if {
	every capability in input.delegation.down {
		capability in input.delegation.grants
	}
}

_pair := [] if is_null(input.delegation.grants)

_pair := input.delegation.grants if is_array(input.delegation.grants)
