"""Every reason code, with its meaning in one line."""

from enum import StrEnum

ORGANISATION = "organisation/"
"""Prefix of the codes that an organisation's own refusals carry."""


class Reason(StrEnum):
    """Why an act was not simply allowed. Codes stand in ledgers, so they never change."""

    THIRD_CAPABILITY = "third_capability"
    OUTSIDE_GRANTS = "outside_grants"
    UNDECLARED_TOOL = "undeclared_tool"
    OUTSIDE_MODEL_WITHOUT_INTERNET = "outside_model_without_internet"
    UNKNOWN_WORKSPACE = "unknown_workspace"
    HOST_NOT_LISTED = "host_not_listed"
    EGRESS_BUDGET = "egress_budget"
    CONNECT_REFUSED = "connect_refused"
    TUNNEL_WITHOUT_CODE = "tunnel_without_code"
    APPROVAL_REQUIRED = "approval_required"
    DELEGATION_WIDER = "delegation_wider"
    DELEGATION_THIRD = "delegation_third"
    CROSSING_CAPACITY = "crossing_capacity"
    TEAM_DEPTH = "team_depth"
    TEAM_WIDTH = "team_width"
    TEAM_TOTAL = "team_total"
    BUDGET = "budget"
    MALFORMED_FACTS = "malformed_facts"
    POLICY_ERROR = "policy_error"


COUNTED = frozenset(
    {
        Reason.CROSSING_CAPACITY,
        Reason.TEAM_DEPTH,
        Reason.TEAM_WIDTH,
        Reason.TEAM_TOTAL,
        Reason.BUDGET,
    }
)
"""Codes of what the gateway counts itself; a policy is told of them and cannot lift them."""

MEANINGS: dict[Reason, str] = {
    Reason.THIRD_CAPABILITY: "the domain would hold all three of files, internet and code",
    Reason.OUTSIDE_GRANTS: "the act takes a capability outside the pair fixed at the start",
    Reason.UNDECLARED_TOOL: "the tool declares no needs, so it counts as needing all three",
    Reason.OUTSIDE_MODEL_WITHOUT_INTERNET: "the model is outside, its provider not under contract",
    Reason.UNKNOWN_WORKSPACE: "this ledger does not know who wrote to the folder",
    Reason.HOST_NOT_LISTED: "the host, port, scheme or method is not on the list that applies",
    Reason.EGRESS_BUDGET: "the request carries more bytes than the domain may still send",
    Reason.CONNECT_REFUSED: "only requests that the proxy can read may leave this domain",
    Reason.TUNNEL_WITHOUT_CODE: "a tunnel is open only to a domain that holds code, and no files",
    Reason.APPROVAL_REQUIRED: "the operator wants a person to approve calls of this tool",
    Reason.DELEGATION_WIDER: "the sub-agent would have more than the agent that calls it",
    Reason.DELEGATION_THIRD: "what crosses freely would bring all three together in one domain",
    Reason.CROSSING_CAPACITY: "the bits that may cross between domains are used up",
    Reason.TEAM_DEPTH: "sub-agents of sub-agents are nested as deep as the team may be",
    Reason.TEAM_WIDTH: "the agent has as many sub-agents at work as it may have at once",
    Reason.TEAM_TOTAL: "the tree has had as many sub-agents as it may have",
    Reason.BUDGET: "what the agent has left is less than what it would hand on",
    Reason.MALFORMED_FACTS: "the facts of the act are incomplete or not of the agreed form",
    Reason.POLICY_ERROR: "the policy engine failed or gave no usable answer",
}


def meaning(code: str) -> str:
    """What a reason code means, in one line."""
    if code.startswith(ORGANISATION):
        return "a rule of the organisation forbids it"
    if code in Reason.__members__.values():
        return MEANINGS[Reason(code)]
    return "a reason that this version does not know"
