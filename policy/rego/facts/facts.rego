# METADATA
# title: Facts
# description: The facts have the shape that every other rule relies on.
package trilemma.facts

_capabilities := {"files", "internet", "code"}

# What an act of this kind uses, whatever the gateway says.
_uses := {
	"tool": set(),
	"model": set(),
	"workspace": {"files"},
	"egress": {"internet"},
}

default ok := false

# METADATA
# title: Whether the facts can be judged
ok if {
	input.version == 1
	input.act in object.keys(_uses)
	is_object(input[input.act])
	_are_capabilities(input.needs)
	_are_capabilities(input.label)
	_are_capabilities(input.held)
	_are_grants(input.grants)
	count(_uses[input.act] - {need | some need in input.needs}) == 0
}

# METADATA
# title: Why they cannot
reasons contains "malformed_facts" if not ok

_are_capabilities(names) if {
	is_array(names)
	every name in names {
		name in _capabilities
	}
}

_are_grants(names) if is_null(names)

_are_grants(names) if _are_capabilities(names)
