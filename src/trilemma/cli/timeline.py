"""One line of the timeline for each thing that happened to a call, as styled text."""

from rich.text import Text

from trilemma.cli.escape import line
from trilemma.cli.members import Members
from trilemma.cli.phrases import because, counted, duration
from trilemma.subagents.events import (
    Finished,
    SubagentEvent,
    ToolCalled,
    ToolDenied,
    ToolReturned,
)

_ARGUMENTS = 160
_NAME = 40
_ERROR = 200


def returned(call: ToolCalled, event: ToolReturned) -> Text:
    """A call that ran, or could not be understood."""
    mark, style = ("✓", "green") if event.ok else ("!", "yellow")
    text = _call(mark, style, call)
    text.append(f"  {duration(event.seconds)}", "dim")
    if not event.ok:
        text.append(f"\n    {line(event.text, _ERROR)}", "yellow")
    return text


def denied(call: ToolCalled, event: ToolDenied) -> Text:
    """A call that the gateway refused."""
    text = _call("✗", "bold red", call)
    text.append(f"\n    denied: {line(because(event.reasons))}", "red")
    if event.call_id:
        text.append(f"  (trilemma why {line(event.call_id)})", "dim")
    return text


def below(event: SubagentEvent, members: Members) -> Text | None:
    """What is over in a sub-agent, with its name; None for what is not worth a line."""
    match event.event:
        case ToolReturned() as ended:
            text = returned(members.called(event, ended), ended)
        case ToolDenied() as ended:
            text = denied(members.called(event, ended), ended)
        case Finished() as ended:
            text = Text(f"  ■ {ended.state}, {counted(ended.steps, 'step')}", "dim")
        case _:
            return None
    return Text("  " * event.depth).append(line(event.agent, _NAME), "bold cyan").append_text(text)


def _call(mark: str, style: str, call: ToolCalled) -> Text:
    text = Text(f"  {mark} ", style)
    text.append(line(call.name), "bold")
    text.append(f" {line(call.arguments, _ARGUMENTS)}", "none")
    return text
