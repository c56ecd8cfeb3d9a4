"""The timeline: a line for each order that is obeyed, and the calls of the task in short."""

import json
import time
from collections import Counter

from rich.table import Table
from rich.text import Text

from trilemma.demo.screen import Screen, plain
from trilemma.demo.story import READ, Act
from trilemma.demo.verdicts import Stop
from trilemma.policy.capability import Capability, CapabilitySet

_LONGEST = 200
_QUIET = frozenset({"list_mail", "mail_headers", READ})


class Timeline:
    """Shows acts as they end."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._started = time.monotonic()
        self._quiet: Counter[str] = Counter()
        self._subject = ""

    def add(self, act: Act, stops: tuple[Stop, ...]) -> None:
        """An act has ended; ``stops`` held it up."""
        if act.letter is None and act.name in _QUIET:
            self._quiet[act.name] += 1
            return
        self.flush()
        subject = act.letter.subject if act.letter else "the task"
        if subject != self._subject:
            self._subject = subject
            self._heading(subject, ordered=act.letter is not None)
        self._line(act, stops)

    def held(self, held: CapabilitySet) -> None:
        """The agent holds more than before."""
        self.flush()
        text = Text(f"{self._now()}  ", "bright_black")
        text.append("  it holds ")
        for capability in Capability:
            lit = capability in held
            text.append(f" {'●' if lit else '○'} {capability} ", "green" if lit else "bright_black")
        self._screen.show(text)

    def flush(self) -> None:
        """Show the calls of the task that were only counted so far."""
        if self._quiet:
            counted = ", ".join(f"{count} {name}" for name, count in self._quiet.items())
            self._screen.show(Text(f"{self._now()}  {counted}", "bright_black"))
            self._quiet.clear()

    def _heading(self, subject: str, *, ordered: bool) -> None:
        text = Text(f"{self._now()}  ", "bright_black", no_wrap=True, overflow="ellipsis")
        text.append("✉ " if ordered else "• ", "yellow" if ordered else "cyan")
        text.append(plain(subject, _LONGEST), "bold yellow" if ordered else "bold cyan")
        self._screen.show(text)

    def _line(self, act: Act, stops: tuple[Stop, ...]) -> None:
        line = Table.grid(expand=True)
        line.add_column(width=9)
        line.add_column(width=11)
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        line.add_column(width=23, no_wrap=True, overflow="ellipsis")
        what = Text(plain(_what(act), _LONGEST))
        line.add_row("", Text(act.name, "bold"), what, _ending(act, stops))
        self._screen.show(line)

    def _now(self) -> str:
        return f"{time.monotonic() - self._started:5.1f} s"


def _ending(act: Act, stops: tuple[Stop, ...]) -> Text:
    if stops:
        return Text(f" ✗ {stops[0].layer}", "bold red")
    return Text(" ✓", "green") if act.ok else Text(" ✗ failed", "bright_black")


def _what(act: Act) -> str:
    """The arguments in short."""
    arguments = json.loads(act.arguments)
    for name in ("url", "code", "expression", "path", "message"):
        if name in arguments:
            method = arguments.get("method", "")
            return f"{method} {arguments[name]}".strip()
    return act.arguments
