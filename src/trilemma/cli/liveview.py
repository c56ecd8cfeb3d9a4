"""A run on a terminal: the timeline scrolls, the lamps and counters stay below it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from trilemma.cli import phrases, timeline
from trilemma.cli.escape import block, line
from trilemma.cli.kept import Kept
from trilemma.cli.lamps import lamps
from trilemma.cli.progress import Progress
from trilemma.result import Result
from trilemma.subagents.events import Event, SessionOpened, SubagentEvent, ToolDenied, ToolReturned

_MEMBERS = 12
"""Sub-agents at work that are shown by name."""
_RUNNING = 4
"""Running calls that are shown by name."""


class LiveView:
    """For people."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._live = self._below()

    @property
    def steps(self) -> int:
        """Steps that were finished."""
        return self._progress.finished

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def on_event(self, event: Event) -> None:
        """Print what is over; the status below shows the rest."""
        self._progress.note(event)
        match event:
            case SessionOpened():
                for note in event.notes:
                    self._console.print(Text(f"  note: {line(note)}", "yellow"))
            case ToolReturned():
                self._console.print(timeline.returned(self._progress.called(event), event))
            case ToolDenied():
                self._console.print(timeline.denied(self._progress.called(event), event))
            case SubagentEvent():
                if text := timeline.below(event, self._progress.members):
                    self._console.print(text)
            case _:
                pass

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the status away for a question."""
        self._live.stop()
        try:
            yield
        finally:
            # A new one: the old one would take what was written meanwhile for its own.
            self._live = self._below()
            self._live.start()

    def show(self, result: Result, kept: Kept | None) -> None:
        """The answer goes to standard output, the rest to standard error."""
        progress = self._progress
        self._console.print(lamps(progress.grants, progress.held | result.labels))
        style = "green" if result.ok else "yellow"
        self._console.print(Text(phrases.summary(result, progress.seconds), style))
        if result.layer is not None:
            self._console.print(Text(phrases.next_command(kept), "cyan"))
        self._console.print()
        print(block(result.text) if sys.stdout.isatty() else result.text, flush=True)

    def _below(self) -> Live:
        return Live(
            console=self._console,
            get_renderable=self._status,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _status(self) -> Group:
        progress = self._progress
        head = Text(overflow="ellipsis", no_wrap=True)
        head.append(line(progress.agent, 40), "bold")
        head.append(f" on {line(progress.model, 40)}  ")
        head.append_text(lamps(progress.grants, progress.held))
        head.append(
            f"  step {progress.step}, {phrases.counted(progress.tokens, 'token')}, "
            f"{phrases.cost(progress.usage)}, {phrases.duration(progress.seconds)}",
            "dim",
        )
        return Group(*self._doing(), head, *self._team())

    def _team(self) -> Iterator[Text]:
        """Who is at work below the agent, in which domain, with what."""
        progress = self._progress
        members = list(progress.members.in_order(progress.session))
        for member in members[:_MEMBERS]:
            text = Text("  " * member.depth, overflow="ellipsis", no_wrap=True)
            text.append(f"{line(member.agent, 40)}  ", "bold cyan")
            text.append_text(lamps(member.grants, member.held))
            if member.domain != progress.domain:
                text.append("  in a domain of its own", "magenta")
            text.append(f"  step {member.step}", "dim")
            for call in member.running.values():
                text.append(f"  … {line(call.name)} {line(call.arguments, 80)}", "cyan")
            yield text
        if len(members) > _MEMBERS:
            yield Text(f"  and {len(members) - _MEMBERS} more sub-agents", "cyan")

    def _doing(self) -> Iterator[Text]:
        running = list(self._progress.running.values())
        for call in running[:_RUNNING]:
            text = Text("  … ", "cyan", overflow="ellipsis", no_wrap=True)
            yield text.append(line(f"{call.name} {call.arguments}", 300), "cyan")
        if len(running) > _RUNNING:
            yield Text(f"  … and {len(running) - _RUNNING} more", "cyan")
        said = self._progress.text.strip()
        if said and not running:
            last = said.rsplit("\n", 1)[-1]
            yield Text(f"  » {line(last, 300)}", "dim", overflow="ellipsis", no_wrap=True)
