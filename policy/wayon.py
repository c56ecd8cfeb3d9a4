"""For each reason code, the cheapest legal way on."""

from collections.abc import Callable

from .capability import CapabilitySet, show
from .plaintext import plain
from .reasons import ORGANISATION, Reason
from .request import AccessRequest, Act
from .rule import LIMIT


def way_on(reason: str, request: AccessRequest) -> str:
    """What can be done instead, in one or two sentences."""
    if reason in _WAYS:
        return _WAYS[Reason(reason)](request)
    if reason.startswith(ORGANISATION):
        return "ask whoever keeps the organisation's policy; no setting of yours lifts it."
    return "none is known; the ledger has the whole decision."


def _capabilities(request: AccessRequest) -> str:
    if request.act is Act.MODEL:
        return _model(request)
    if len(request.taking) > LIMIT:
        return "no agent can do this in one act; split it, or leave out what is not needed."
    if request.act is Act.WORKSPACE:
        return (
            f"open this folder from an agent in a domain of its own that can hold "
            f"{show(request.taking)}, or give this agent another folder."
        )
    return (
        f"go on with acts that take no more than {show(_room(request))}; leave what takes "
        f"{show(request.taking)} to another agent in a domain of its own."
    )


def _room(request: AccessRequest) -> CapabilitySet:
    if request.grants is not None:
        return request.grants
    return request.held


def _outside_grants(request: AccessRequest) -> str:
    taking = request.held | request.taking
    if request.act is Act.MODEL or len(taking) > LIMIT:
        return _capabilities(request)
    return f"{_capabilities(request)} Or start this agent with grants {show(taking)}."


def _model(request: AccessRequest) -> str:
    provider = plain(request.model.provider) if request.model is not None else "PROVIDER"
    return (
        "use a model inside the trust boundary; or, where a contract covers what this agent "
        "reads, the operator adds to policy.yaml: "
        f"providers: {{under_contract: [{provider}]}}"
    )


def _unknown_workspace(request: AccessRequest) -> str:
    return (
        "a person copies the files they trust into a new folder and opens that, or uses the "
        "ledger that the folder was opened with before."
    )


def _host(request: AccessRequest) -> str:
    if request.egress is None:
        return "use a host that is on the list."
    egress = request.egress
    method = "" if egress.scheme == "tunnel" else f" for {plain(egress.method)}"
    return (
        "use a host that is on the list; or a person adds "
        f"{plain(egress.host)} port {egress.port}{method} to the lists of agent and operator."
    )


def _budget(request: AccessRequest) -> str:
    if request.egress is None:
        return "send less."
    return (
        f"send at most {max(request.egress.budget_left, 0)} bytes (this was "
        f"{request.egress.bytes_out}); or the operator raises the budget under egress in "
        "policy.yaml and a person starts a new domain."
    )


def _approval(request: AccessRequest) -> str:
    name = plain(request.tool.name) if request.tool is not None else "this tool"
    return f"a person approves this very call of {name}, at the terminal that runs the agent."


_WAYS: dict[Reason, Callable[[AccessRequest], str]] = {
    Reason.THIRD_CAPABILITY: _capabilities,
    Reason.OUTSIDE_GRANTS: _outside_grants,
    Reason.UNDECLARED_TOOL: lambda _: "whoever wrote the tool declares what it needs.",
    Reason.OUTSIDE_MODEL_WITHOUT_INTERNET: _model,
    Reason.UNKNOWN_WORKSPACE: _unknown_workspace,
    Reason.HOST_NOT_LISTED: _host,
    Reason.EGRESS_BUDGET: _budget,
    Reason.CONNECT_REFUSED: lambda _: "send the request itself, not a CONNECT.",
    Reason.TUNNEL_WITHOUT_CODE: lambda _: "send single requests with http_fetch.",
    Reason.APPROVAL_REQUIRED: _approval,
    Reason.MALFORMED_FACTS: lambda _: "none for the agent; this is a fault of the gateway.",
    Reason.POLICY_ERROR: lambda _: "none for the agent; the gateway's log says what failed.",
}
