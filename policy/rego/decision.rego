# METADATA
# title: Decision
# description: |
#   The one entry point. An act is allowed only where every rule says so; a rule that is
#   undefined refuses. Reason codes explain a refusal, and policy/reasons.py lists them.
package trilemma

import data.organisation
import data.trilemma.approval
import data.trilemma.delegation
import data.trilemma.egress
import data.trilemma.facts
import data.trilemma.grants
import data.trilemma.models
import data.trilemma.pick_two
import data.trilemma.tools
import data.trilemma.workspaces

# METADATA
# title: The decision on one act
# description: '`allow` without a person, or with one (`approval`), or neither; and why.'
# entrypoint: true
decision := {"allow": true, "approval": false, "reasons": set()} if {
	_legal
	approval.ok
} else := {"allow": false, "approval": _legal, "reasons": _reasons}

default _legal := false

_legal if {
	facts.ok
	pick_two.ok
	grants.ok
	tools.ok
	models.ok
	workspaces.ok
	egress.ok
	delegation.ok
	count(organisation.deny) == 0
}

_reasons contains reason if {
	some rule in [
		facts.reasons,
		pick_two.reasons,
		grants.reasons,
		tools.reasons,
		models.reasons,
		workspaces.reasons,
		egress.reasons,
		delegation.reasons,
	]
	some reason in rule
}

_reasons contains reason if {
	_legal
	some reason in approval.reasons
}

_reasons contains concat("/", ["organisation", code]) if some code in organisation.deny
