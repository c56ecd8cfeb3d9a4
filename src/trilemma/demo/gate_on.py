"""The first half: the agent as the example defines it, run by Trilemma."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from trilemma.client import Client
from trilemma.demo.pins import pinned
from trilemma.demo.place import Place
from trilemma.demo.servers import IN_TIME
from trilemma.demo.story import Act, Story
from trilemma.demo.timeline import Timeline
from trilemma.demo.verdicts import Refusals, stops
from trilemma.gateway.agentfile import load_agent
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.schemas import AgentSpec, WorkspaceSpec
from trilemma.gateway.workspaces.review import Review
from trilemma.policy.hostrule import HostRule
from trilemma.result import Result
from trilemma.subagents.events import Event, HeldChanged, ToolCalled, ToolDenied, ToolReturned

REPORT = "reports/triage.md"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What came out of it."""

    result: Result
    story: Story
    refusals: Refusals
    waiting: tuple[str, ...]
    """Paths in the layer, what would run by itself first; the report has been applied."""


def agent(place: Place, image: str) -> AgentSpec:
    """The example's agent, for this place's folder, host and image."""
    spec = pinned(load_agent(place.example / "agent.yaml"), image)
    host = HostRule(host=place.listed.name, ports=(place.listed.port,), schemes=("http",))
    office = WorkspaceSpec(path=str(place.mailbox.office), origin="strangers")
    return spec.model_copy(update={"workspace": office, "hosts": (host,)})


def run(place: Place, spec: AgentSpec, timeline: Timeline) -> Guarded:
    """Run the agent on the poisoned mail, then apply its report, and nothing else."""
    client = Client.local(place.settings)
    story = Story(place.mailbox)
    with Ledger.open(place.settings.ledger) as ledger:

        def emit(event: Event) -> None:
            if isinstance(event, HeldChanged):
                timeline.held(event.held)
            act = _follow(story, event)
            if act is not None:
                events = ledger.find_call(act.call) if act.call else ()
                timeline.add(act, stops([act], Refusals(events), layered=False))

        result = asyncio.run(_run(client, spec, place.task, emit))
        refusals = Refusals(ledger.events(session=result.session, kind=Kind.EGRESS_DENIED))
        waiting = _apply_report(Review(ledger, place.settings.layers), result)
    return Guarded(result, story, refusals, waiting)


async def _run(client: Client, spec: AgentSpec, task: str, emit: Callable[[Event], None]) -> Result:
    try:
        return await client.run(spec, task, on_event=emit)
    finally:
        await client.close()


def _follow(story: Story, event: Event) -> Act | None:
    match event:
        case ToolCalled(id=id, name=name, arguments=arguments):
            story.called(id, name, arguments)
        case ToolReturned(id=id, ok=ok, text=text, call_id=call):
            return story.ended(id, ok=ok, text=text, call=call)
        case ToolDenied(id=id, text=text, reasons=why, call_id=call):
            return story.ended(id, ok=False, text=text, reasons=why, call=call, denied=True)
    return None


def _apply_report(review: Review, result: Result) -> tuple[str, ...]:
    """What a person does who read the diff: take the report, leave the rest, throw it away."""
    if result.layer is None:
        return ()
    layer = review.layers.get(result.layer)
    changes = review.diff(layer)
    review.apply(changes.only(lambda change: change.path == REPORT), "demo")
    left = tuple(change.path for change in review.diff(layer).changes)
    review.discard(layer, "demo")
    return left


def missing_from_report(office: Path, subjects: Iterable[str]) -> tuple[str, ...]:
    """What the report lacks: a letter's subject, or the state of deliveries."""
    report = office / REPORT
    text = report.read_text(encoding="utf-8") if report.is_file() else ""
    return tuple(part for part in (*subjects, IN_TIME) if part not in text)
