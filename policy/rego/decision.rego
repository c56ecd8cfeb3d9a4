# METADATA
# title: Decision
# description: |
#   The one entry point. An act is allowed only where every rule says so; an undefined rule
#   is a refusal. Each rule explains itself with reason codes, which policy/reasons.py lists.
package trilemma

# METADATA
# title: The decision on one act
# description: '`allow` without a person, or with one (`approval`), or neither; and why.'
# entrypoint: true
decision := {
	"allow": _allow,
	"approval": _approval,
	"reasons": _reasons,
}

default _legal := false

_legal if {
	data.trilemma.facts.ok
	data.trilemma.pick_two.ok
	data.trilemma.grants.ok
	data.trilemma.tools.ok
	data.trilemma.models.ok
	data.trilemma.workspaces.ok
	data.trilemma.egress.ok
	count(data.organisation.deny) == 0
}

default _allow := false

_allow if {
	_legal
	data.trilemma.approval.ok
}

default _approval := false

_approval if {
	_legal
	not data.trilemma.approval.ok
}

_reasons contains reason if some reason in data.trilemma.facts.reasons

_reasons contains reason if some reason in data.trilemma.pick_two.reasons

_reasons contains reason if some reason in data.trilemma.grants.reasons

_reasons contains reason if some reason in data.trilemma.tools.reasons

_reasons contains reason if some reason in data.trilemma.models.reasons

_reasons contains reason if some reason in data.trilemma.workspaces.reasons

_reasons contains reason if some reason in data.trilemma.egress.reasons

_reasons contains reason if some reason in data.trilemma.approval.reasons

_reasons contains concat("/", ["organisation", code]) if some code in data.organisation.deny
