"""Every reason code, with its meaning in one line."""

from enum import StrEnum

ORGANISATION = "organisation/"
"""Prefix of the codes that an organisation's own refusals carry."""


class Reason(StrEnum):
    """Why an act was not simply allowed. Codes are part of the ledger and never change."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> "Reason":
        """Make a member that is its code and knows its meaning."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    THIRD_CAPABILITY = (
        "third_capability",
        "the domain would hold all three of files, internet and code",
    )
    OUTSIDE_GRANTS = (
        "outside_grants",
        "the act takes a capability outside the pair fixed at the start",
    )
    UNDECLARED_TOOL = (
        "undeclared_tool",
        "the tool does not say what it needs, so it counts as needing all three",
    )
    OUTSIDE_MODEL_WITHOUT_INTERNET = (
        "outside_model_without_internet",
        "the model runs outside the trust boundary and its provider is not under contract",
    )
    UNKNOWN_WORKSPACE = (
        "unknown_workspace",
        "this ledger does not know who wrote to the folder",
    )
    HOST_NOT_LISTED = (
        "host_not_listed",
        "the host, port, scheme or method is not on the list that applies",
    )
    EGRESS_BUDGET = (
        "egress_budget",
        "the request carries more bytes than the domain may still send",
    )
    CONNECT_REFUSED = (
        "connect_refused",
        "only requests that the proxy can read may leave this domain",
    )
    TUNNEL_WITHOUT_CODE = (
        "tunnel_without_code",
        "a tunnel is open only to a domain that holds code, and no files",
    )
    APPROVAL_REQUIRED = (
        "approval_required",
        "the operator wants a person to approve calls of this tool",
    )
    MALFORMED_FACTS = (
        "malformed_facts",
        "the facts of the act are incomplete or not of the agreed form",
    )
    POLICY_ERROR = (
        "policy_error",
        "the policy engine failed or gave no usable answer",
    )


def meaning(code: str) -> str:
    """What a reason code means, in one line."""
    if code.startswith(ORGANISATION):
        return "a rule of your organisation forbids it"
    try:
        return Reason(code).meaning  # type: ignore[call-arg]
    except ValueError:
        return "a reason this version does not know"
