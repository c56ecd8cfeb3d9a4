package trilemma.decision_test

import data.trilemma

_read := {
	"version": 1,
	"act": "tool",
	"needs": ["files"],
	"label": [],
	"held": ["internet"],
	"grants": ["files", "internet"],
	"share": null,
	"tool": {"name": "read_file", "declared": true},
	"approved": false,
}

test_a_legal_act_is_allowed if {
	_allowed == trilemma.decision with input as _read
}

test_a_third_capability_is_refused if {
	facts := object.union(_read, {"held": ["internet", "code"], "grants": null})
	_refused({"third_capability"}) == trilemma.decision with input as facts
}

test_every_broken_rule_is_named if {
	facts := object.union(_read, {"held": ["internet", "code"], "tool": {"declared": false}})
	expected := _refused({"outside_grants", "third_capability", "undeclared_tool"})
	expected == trilemma.decision with input as facts
}

test_no_facts_are_refused if {
	trilemma.decision.allow == false with input as {}
	"malformed_facts" in trilemma.decision.reasons with input as {}
}

test_a_tool_that_needs_approval_waits if {
	expected := {"allow": false, "approval": true, "reasons": {"approval_required"}}
	expected == trilemma.decision with input as _read
		with data.operator.approval.tools as ["read_file"]
}

test_approval_lifts_no_refusal if {
	facts := object.union(_read, {"held": ["internet", "code"], "grants": null, "approved": true})
	_refused({"third_capability"}) == trilemma.decision with input as facts
		with data.operator.approval.tools as ["read_file"]
}

test_a_refused_act_waits_for_nobody if {
	facts := object.union(_read, {"held": ["internet", "code"], "grants": null})
	_refused({"third_capability"}) == trilemma.decision with input as facts
		with data.operator.approval.tools as ["read_file"]
}

test_an_organisation_can_refuse if {
	_refused({"organisation/no_mail"}) == trilemma.decision with input as _read
		with data.organisation.deny as {"no_mail"}
}

_allowed := {"allow": true, "approval": false, "reasons": set()}

_refused(reasons) := {"allow": false, "approval": false, "reasons": reasons}
