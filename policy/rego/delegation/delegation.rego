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
	count(input.delegation.wider) == 0
	count(input.delegation.over) == 0
	_absorbed
	pick_two.ok
}

# METADATA
# title: Why it may not
reasons contains "delegation_wider" if {
	input.act == "delegation"
	not _nothing(input.delegation.wider)
}

reasons contains code if {
	input.act == "delegation"
	some code in input.delegation.over
}

reasons contains "delegation_third" if {
	input.act == "delegation"
	not pick_two.ok
}

reasons contains "delegation_third" if {
	input.act == "delegation"
	not _one_stays_out
}

reasons contains "outside_grants" if {
	input.act == "delegation"
	_one_stays_out
	not _within
}

default _absorbed := false

_absorbed if {
	is_array(input.delegation.down)
	_one_stays_out
	_within
}

_one_stays_out if {
	some capability in ["files", "internet", "code"]
	not capability in _pair
	not capability in input.delegation.down
}

_within if {
	is_null(input.delegation.grants)
} else if {
	is_array(input.delegation.grants)
	every capability in input.delegation.down {
		capability in input.delegation.grants
	}
}

_pair := [] if is_null(input.delegation.grants)

_pair := input.delegation.grants if is_array(input.delegation.grants)

_nothing(list) if count(list) == 0
