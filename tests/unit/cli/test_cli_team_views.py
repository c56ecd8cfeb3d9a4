"""What people see of a team while it works: who, in which domain, with what."""

import io

import pytest
from rich.console import Console

from trilemma.cli.liveview import LiveView
from trilemma.cli.plainview import PlainView
from trilemma.cli.progress import Progress
from trilemma.inference.messages import Usage
from trilemma.policy.capability import NONE, parse
from trilemma.subagents.events import (
    Event,
    Finished,
    HeldChanged,
    SessionOpened,
    StepStarted,
    SubagentEvent,
    ToolCalled,
    ToolDenied,
    ToolReturned,
)
from trilemma.subagents.outcome import State

EVIL = "\x1b]0;owned\x07[red]\u202e"


def opened(session: str, domain: str, grants: str) -> SessionOpened:
    return SessionOpened(session, domain, parse(grants.split()), NONE, None, ())


def below(agent: str, parent: str, depth: int, event: Event) -> SubagentEvent:
    return SubagentEvent(agent, f"ses_{agent}", parent, depth, event)


WORKING = [
    opened("ses_lead", "dom_1", "files code"),
    below("reader", "ses_lead", 1, opened("ses_reader", "dom_1", "files")),
    below("desk", "ses_lead", 1, opened("ses_desk", "dom_2", "internet")),
    below("deep", "ses_reader", 2, opened("ses_deep", "dom_1", "files")),
    below("reader", "ses_lead", 1, StepStarted(3)),
    below("reader", "ses_lead", 1, ToolCalled("c1", "read_file", f'{{"path": "{EVIL}"}}')),
    below("reader", "ses_lead", 1, HeldChanged(parse(["files"]))),
]


def status(view: LiveView) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=100).print(view._status())
    return screen.getvalue().splitlines()


def test_the_live_view_shows_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    view = LiveView(Progress("lead", "gullible", clock=lambda: 0.0))
    for event in WORKING:
        view.on_event(event)
    head, reader, deep, desk = status(view)
    assert head.startswith("lead on gullible")
    assert reader.startswith("  reader  ● files  ○ internet  ○ code  step 3  … read_file")
    assert "\x1b" not in reader
    assert deep.startswith("    deep  ")
    assert "in a domain of its own" in desk
    assert "in a domain of its own" not in reader + deep
    view.on_event(below("deep", "ses_reader", 2, Finished(State.DONE, "", 1, Usage(), 0.1)))
    assert len(status(view)) == 3


def test_a_crowd_is_counted() -> None:
    view = LiveView(Progress("lead", "gullible", clock=lambda: 0.0))
    view.on_event(WORKING[0])
    for number in range(64):
        agent = f"worker{number}"
        view.on_event(below(agent, "ses_lead", 1, opened(f"ses_{agent}", "dom_1", "files")))
    assert status(view)[-1] == "  and 52 more sub-agents"


def test_the_plain_view_says_who_did_what(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(Progress("lead", "gullible", clock=lambda: 0.0))
    done = ToolReturned("c1", "read_file", True, "text", "call_1", seconds=0.002)
    refused = ToolDenied("c2", "run_code", "no", ("outside_grants",), "call_2")
    finished = Finished(State.DONE, "", 2, Usage(), 0.1)
    for event in [
        *WORKING,
        *(below("reader", "ses_lead", 1, e) for e in (done, refused, finished)),
    ]:
        view.on_event(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("  reader  ✓ read_file")
    assert lines[1].startswith("  reader  ✗ run_code")
    assert lines[-1] == "  reader  ■ done, 2 steps"
