# METADATA
# title: Pick two
# description: A domain holds at most two of files, internet and code.
package trilemma.pick_two

default ok := false

# METADATA
# title: Whether two are enough
ok if count(_after) <= 2

# METADATA
# title: Why they are not
reasons contains "third_capability" if not ok

_after contains capability if some capability in input.held

_after contains capability if some capability in input.needs

_after contains capability if some capability in input.label
