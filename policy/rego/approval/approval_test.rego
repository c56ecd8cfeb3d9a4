package trilemma.approval_test

import data.trilemma.approval

_call := {"act": "tool", "tool": {"name": "send_mail"}, "approved": false}

test_a_tool_that_is_not_named_needs_nobody if {
	approval.ok with input as _call with data.operator.approval.tools as ["run_code"]
}

test_a_named_tool_waits if {
	not approval.ok with input as _call with data.operator.approval.tools as ["send_mail"]
	approval.reasons == {"approval_required"} with input as _call
		with data.operator.approval.tools as ["send_mail"]
}

test_an_approved_call_goes_on if {
	approval.ok with input as object.union(_call, {"approved": true})
		with data.operator.approval.tools as ["send_mail"]
}

test_only_true_is_a_yes if {
	every answer in ["true", 1, {}, null, "yes"] {
		not approval.ok with input as object.union(_call, {"approved": answer})
			with data.operator.approval.tools as ["send_mail"]
	}
}

test_a_list_that_cannot_be_read_asks if {
	every list in [null, "run_code", true] {
		not approval.ok with input as _call with data.operator.approval.tools as list
	}
}

test_a_call_without_a_name_asks if {
	not approval.ok with input as {"act": "tool", "tool": {}}
		with data.operator.approval.tools as []
}

test_a_named_sub_agent_waits if {
	facts := {"act": "delegation", "delegation": {"agent": "searcher"}, "approved": false}
	not approval.ok with input as facts with data.operator.approval.tools as ["searcher"]
	approval.ok with input as facts with data.operator.approval.tools as ["run_code"]
	approval.ok with input as object.union(facts, {"approved": true})
		with data.operator.approval.tools as ["searcher"]
}

test_a_delegation_without_a_name_asks if {
	not approval.ok with input as {"act": "delegation", "delegation": {}}
		with data.operator.approval.tools as []
}

test_other_acts_are_not_judged_here if {
	approval.ok with input as {"act": "egress"} with data.operator.approval.tools as ["egress"]
}
