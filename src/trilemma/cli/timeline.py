"""One line of the timeline for each thing that happened to a call, as styled text."""

from rich.text import Text

from trilemma.cli.escape import line
from trilemma.cli.phrases import because, duration
from trilemma.subagents.events import ToolCalled, ToolDenied, ToolReturned

_ARGUMENTS = 160
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


def _call(mark: str, style: str, call: ToolCalled) -> Text:
    text = Text(f"  {mark} ", style)
    text.append(line(call.name), "bold")
    text.append(f" {line(call.arguments, _ARGUMENTS)}", "none")
    return text
