"""For each reason code, the cheapest legal way on."""

from collections.abc import Callable

from .capability import Capability, CapabilitySet, show
from .delegating import Flow, flows
from .plaintext import plain
from .reasons import ORGANISATION, Reason
from .request import AccessRequest, Act
from .rule import LIMIT

_TYPE = "an enum, a number in a range, a date, or text that a pattern bounds"


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
    if request.act is Act.DELEGATION:
        return _delegation(request)
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
    if request.act is Act.DELEGATION:
        return _delegation(request)
    if request.share is not None and not request.taking <= request.share:
        return "leave that to the agent that called this one, or have it hand out more."
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


def _delegation(request: AccessRequest) -> str:
    """The cheapest first: a type costs nobody a capability."""
    found = list(flows(request))
    ways = [_typed(flow) for flow in found]
    for flow in found:
        both = flow.carries | flow.meets
        if not flow.third:
            who = _agent(request) if flow.down else "this agent"
            ways.append(f"start {who} with grants {show(both)}")
    facts = request.delegation
    if facts is not None and facts.grants is not None and request.grants is not None:
        common = facts.grants & request.grants
        if common:
            ways.append(f"make {_agent(request)} attenuated, with grants {show(common)}")
    if any(flow.down and Capability.FILES in flow.carries for flow in found):
        ways.append(
            f"let {_agent(request)} read the files itself, in a clean snapshot "
            "(workspace mode 'snapshot'), where its own grants include files"
        )
    return "; or ".join(ways) + "." if ways else "leave it to another agent in its own domain."


def _typed(flow: Flow) -> str:
    side = "asks" if flow.down else "answers"
    return f"give '{side}' a type, {_TYPE}: then bits are counted and no label crosses"


def _agent(request: AccessRequest) -> str:
    return "the sub-agent" if request.delegation is None else plain(request.delegation.agent)


def _wider(request: AccessRequest) -> str:
    return (
        f"give {_agent(request)} no more than this agent has; or mediate it "
        "('mode: mediated'), with a domain of its own and typed asks and answers."
    )


def _crossing(request: AccessRequest) -> str:
    # How much is left says what others did: nothing that a model should learn.
    return (
        f"call {_agent(request)} with narrower types, or an attenuated agent, which stays in this "
        "domain; or the operator raises 'crossings: {bits: ...}' in policy.yaml."
    )


def _approval(request: AccessRequest) -> str:
    name = plain(request.tool.name) if request.tool is not None else _agent(request)
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
    Reason.DELEGATION_WIDER: _wider,
    Reason.DELEGATION_THIRD: _delegation,
    Reason.CROSSING_CAPACITY: _crossing,
    Reason.TEAM_DEPTH: lambda _: "do it yourself, or let the agent above call it.",
    Reason.TEAM_WIDTH: lambda _: "wait for a sub-agent to end, then call again.",
    Reason.TEAM_TOTAL: lambda _: "do the rest yourself, with what the sub-agents found.",
    Reason.BUDGET: lambda _: "ask for less, or do it yourself with what is left.",
    Reason.MALFORMED_FACTS: lambda _: "none for the agent; this is a fault of the gateway.",
    Reason.POLICY_ERROR: lambda _: "none for the agent; the gateway's log says what failed.",
}
