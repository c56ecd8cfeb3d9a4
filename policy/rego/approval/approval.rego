# METADATA
# title: Approval
# description: Calls of the tools and sub-agents that the operator names wait for a person.
package trilemma.approval

default ok := false

# METADATA
# title: Whether no person needs to be asked, or one said yes to this very call
ok if {
	not input.act in {"tool", "delegation"}
} else if {
	input.approved == true
} else if {
	name := _name
	waiting := data.operator.approval.tools
	is_array(waiting)
	not name in waiting
}

_name := input.tool.name if input.act == "tool"

_name := input.delegation.agent if input.act == "delegation"

# METADATA
# title: Why a person is asked
reasons contains "approval_required" if not ok
