"""What people and programs see of a run."""

import io
import json

import pytest
from rich.console import Console

from trilemma.cli import phrases, timeline
from trilemma.cli.jsonview import JsonView
from trilemma.cli.kept import Kept
from trilemma.cli.lamps import lamps
from trilemma.cli.liveview import LiveView
from trilemma.cli.plainview import PlainView
from trilemma.cli.progress import Progress
from trilemma.inference.messages import Usage
from trilemma.policy.capability import CapabilitySet, parse
from trilemma.result import Denial, Result
from trilemma.subagents.events import (
    HeldChanged,
    SessionOpened,
    StepFinished,
    TextDelta,
    ToolCalled,
    ToolDenied,
    ToolReturned,
)

EVIL = "\x1b]0;owned\x07[red]\u202e"

RESULT = Result(
    text=f"done {EVIL}",
    stop="done",
    labels=parse(["files"]),
    session="ses_1",
    domain="dom_1",
    steps=2,
    usage=Usage(1000, 234, cost_usd=0.5),
    denials=(Denial("call_1", "http_fetch", ("outside_grants",), "no"),),
    layer="layer-1",
)
KEPT = Kept("layer-1", changes=2, run_by_themselves=1, refused=1)


@pytest.mark.parametrize(
    ("grants", "held", "signs"),
    [
        (parse(["files", "code"]), parse([]), "◐○◐"),
        (parse(["files", "code"]), parse(["files"]), "●○◐"),
        (None, parse([]), "◐◐◐"),
        (None, parse(["internet"]), "◐●◐"),
        (None, parse(["internet", "code"]), "○●●"),
        (parse([]), parse([]), "○○○"),
    ],
)
def test_lamps_show_what_is_held_granted_and_out_of_reach(
    grants: CapabilitySet | None, held: CapabilitySet, signs: str
) -> None:
    shown = lamps(grants, held).plain
    assert [part.split()[0] for part in shown.split("  ")] == list(signs)


def test_a_timeline_line_obeys_nothing() -> None:
    call = ToolCalled("1", EVIL, EVIL)
    denied = timeline.denied(call, ToolDenied("1", EVIL, EVIL, ("outside_grants",), "call_9"))
    failed = timeline.returned(call, ToolReturned("1", EVIL, False, EVIL, "call_9"))
    for text in (denied.plain, failed.plain):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
        assert "[red]" in text
    assert "outside the pair" in denied.plain
    assert "trilemma why call_9" in denied.plain


def test_progress_follows_the_events() -> None:
    progress = Progress("a", "m", clock=lambda: 0.0)
    for event in (
        SessionOpened("ses", "dom", parse(["files", "code"]), parse(["files"]), None, ()),
        TextDelta("thinking"),
        StepFinished(1, Usage(5, 6)),
        ToolCalled("1", "read_file", "{}"),
        HeldChanged(parse(["files", "code"])),
    ):
        progress.note(event)
    assert progress.held == progress.grants == parse(["files", "code"])
    assert (progress.finished, progress.tokens, progress.text) == (1, 11, "thinking")
    assert list(progress.running) == ["1"]
    progress.called(ToolReturned("1", "read_file", True, "", "call"))
    assert not progress.running


def test_json_lines_hold_everything_and_end_with_the_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = JsonView()
    view.on_event(ToolDenied("1", EVIL, EVIL, ("outside_grants",), "call_9"))
    view.show(RESULT, KEPT)
    output = capsys.readouterr().out
    assert "\x1b" not in output
    event, result = map(json.loads, output.splitlines())
    assert event["event"] == "tool_denied"
    assert event["text"] == EVIL
    assert result["event"] == "result"
    assert result["ok"] is True
    assert result["text"] == RESULT.text
    assert result["layer"] == {
        "layer": "layer-1",
        "changes": 2,
        "run_by_themselves": 1,
        "refused": 1,
        "problem": "",
    }


def test_the_plain_view_keeps_the_answer_apart(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(Progress("a", "m", clock=lambda: 0.0))
    view.on_event(SessionOpened("ses", "dom", None, parse([]), None, (EVIL,)))
    view.show(RESULT, KEPT)
    captured = capsys.readouterr()
    assert captured.out == RESULT.text + "\n"
    assert "\x1b" not in captured.err
    assert "trilemma workspace diff layer-1" in captured.err
    assert "1 of them to what runs by itself" in captured.err


def test_the_live_status_fits_any_width_and_obeys_nothing() -> None:
    progress = Progress("agent" * 30, EVIL, clock=lambda: 0.0)
    view = LiveView(progress)
    for number in range(9):
        view.on_event(ToolCalled(str(number), EVIL, EVIL * 50))
    console = Console(width=40, record=True, file=io.StringIO())
    console.print(view._status())
    shown = console.export_text()
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 40
    assert "and 5 more" in shown


def test_a_summary_says_what_stopped_the_run() -> None:
    text = phrases.summary(RESULT, 61.0)
    assert text == "done, 2 steps, 1,234 tokens, $0.5000, 1 call denied, 61.0 s"
    assert phrases.next_command(None) == "no changes to the workspace"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (5.0, "5.0 s"), (125, "2 min 5 s"), (7300, "2 h 1 min")],
)
def test_times_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert phrases.duration(seconds) == text
