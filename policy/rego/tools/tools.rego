# METADATA
# title: Tools
# description: A tool that declares no needs counts as needing all three, so it never runs.
package trilemma.tools

default ok := false

# METADATA
# title: Whether the tool says what it needs
ok if {
	input.act != "tool"
} else if {
	input.tool.declared == true
}

# METADATA
# title: Why it may not run
reasons contains "undeclared_tool" if not ok
