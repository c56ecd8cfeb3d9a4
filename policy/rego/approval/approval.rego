# METADATA
# title: Approval
# description: Calls of the tools that the operator names wait for a person.
package trilemma.approval

default ok := false

# METADATA
# title: Whether no person needs to be asked, or one said yes to this very call
ok if {
	input.act != "tool"
} else if {
	input.approved == true
} else if {
	name := input.tool.name
	waiting := data.operator.approval.tools
	is_array(waiting)
	not name in waiting
}

# METADATA
# title: Why a person is asked
reasons contains "approval_required" if not ok
