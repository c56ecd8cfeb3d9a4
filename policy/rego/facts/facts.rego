# METADATA
# title: Facts
# description: The facts have the shape that every other rule relies on.
package trilemma.facts

default ok := false

# METADATA
# title: Whether the facts can be judged
ok if {
	input.version == 1
	is_object(input[input.act])
	every names in [input.needs, input.label, input.held] {
		is_array(names)
		every name in names {
			name in {"files", "internet", "code"}
		}
	}
	every capability in _always_uses[input.act] {
		capability in input.needs
	}
}

# METADATA
# title: Why they cannot
reasons contains "malformed_facts" if not ok

_always_uses := {
	"tool": [],
	"model": [],
	"workspace": ["files"],
	"egress": ["internet"],
	"delegation": [],
}
