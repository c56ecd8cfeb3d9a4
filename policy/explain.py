"""Says what was refused, why, which events led there, and the cheapest legal way on.

The text is for a person or a model. It names only what the request itself named, and the
events of the request's own domain.
"""

from collections.abc import Iterator

from .capability import show
from .decision import Decision, Verdict
from .delegating import Flow, flows
from .plaintext import plain
from .reasons import Reason, meaning
from .request import AccessRequest, Act, Cause
from .wayon import way_on

_HEADLINES = {
    Verdict.ALLOW: "Allowed",
    Verdict.DENY: "Refused",
    Verdict.NEEDS_APPROVAL: "Waits for a person",
}
_ABOUT_CAPABILITIES = frozenset(
    {Reason.THIRD_CAPABILITY, Reason.OUTSIDE_GRANTS, Reason.DELEGATION_THIRD}
)


def explain(request: AccessRequest, decision: Decision) -> str:
    """Explain a decision in a few short lines."""
    return "\n".join(_lines(request, decision))


def _lines(request: AccessRequest, decision: Decision) -> Iterator[str]:
    yield f"{_HEADLINES[decision.verdict]}: {_act(request)}."
    if decision.verdict is Verdict.ALLOW:
        return
    for reason in decision.reasons:
        yield f"Why: {meaning(reason)} [{plain(reason)}]."
    yield from (f"- {plain(detail)}" for detail in request.details)
    yield from (_flow(flow, request) for flow in flows(request))
    if _ABOUT_CAPABILITIES & set(decision.reasons):
        yield _state(request)
        yield from (_event(cause) for cause in decision.cause)
    for text in dict.fromkeys(way_on(reason, request) for reason in decision.reasons):
        yield f"Way on: {text}"


def _act(request: AccessRequest) -> str:
    if request.act is Act.DELEGATION:
        brings = f", which brings back text that carries {show(request.label)}"
        return _subject(request) + (brings if request.label else "")
    takes = f"takes {show(request.needs)}" if request.needs else "takes nothing"
    if request.label:
        takes += f" and brings data that carries {show(request.label)}"
    return f"{_subject(request)} {takes}"


def _subject(request: AccessRequest) -> str:
    if request.act is Act.TOOL and request.tool is not None:
        return f"tool {plain(request.tool.name)}"
    if request.act is Act.MODEL and request.model is not None:
        return f"a call to a model of {plain(request.model.provider)}"
    if request.act is Act.WORKSPACE:
        return "opening the workspace"
    if request.act is Act.EGRESS and request.egress is not None:
        egress = request.egress
        return f"{plain(egress.method)} to {plain(egress.host)} port {egress.port}"
    if request.act is Act.DELEGATION and request.delegation is not None:
        return f"handing a task to the {request.delegation.mode} agent {_agent(request)}"
    return f"the {request.act} act"


def _flow(flow: Flow, request: AccessRequest) -> str:
    """Who reads what and hands it to whom."""
    agent, told = _agent(request), show(flow.carries)
    if flow.down:
        return (
            f"Flow: this agent reads {told} and hands it to {agent} as free text, which is granted "
            f"{show(flow.meets)}; {agent} would hold {show(flow.carries | flow.meets)}."
        )
    return (
        f"Flow: {agent} reads {told} and hands it back as free text to this agent, which holds or "
        f"may take {show(flow.meets)}; this agent would hold {show(flow.carries | flow.meets)}."
    )


def _agent(request: AccessRequest) -> str:
    return "" if request.delegation is None else plain(request.delegation.agent)


def _state(request: AccessRequest) -> str:
    held = f"This domain holds {show(request.held)}"
    if request.grants is not None:
        held += f" of the {show(request.grants)} it was granted"
    if request.share is not None:
        held += f", and this sub-agent was given {show(request.share)} of that"
    return f"{held}; no domain ever holds all three of files, internet and code."


def _event(cause: Cause) -> str:
    # Without its number: how many events came before tells how much other domains did.
    return f"- {plain(cause.capability)} since {plain(cause.at)}: {plain(cause.what)}"
