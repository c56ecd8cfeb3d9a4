# METADATA
# title: Pick two
# description: A domain holds at most two of files, internet and code.
package trilemma.pick_two

default ok := false

# METADATA
# title: Whether one of the three stays out
ok if {
	held := input.held
	needs := input.needs
	label := input.label
	some capability in ["files", "internet", "code"]
	not capability in held
	not capability in needs
	not capability in label
}

# METADATA
# title: Why it does not
reasons contains "third_capability" if not ok
