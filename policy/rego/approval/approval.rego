# METADATA
# title: Approval
# description: Calls of the tools that the operator names wait for a person.
package trilemma.approval

default ok := false

# METADATA
# title: Whether no person needs to be asked, or one said yes to this very call
ok if input.act != "tool"

ok if {
	is_array(data.operator.approval.tools)
	not input.tool.name in data.operator.approval.tools
}

ok if input.approved == true

# METADATA
# title: Why a person is asked
reasons contains "approval_required" if not ok
