"""A run as plain lines on standard error, where no terminal shows them."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from trilemma.cli import phrases, timeline
from trilemma.cli.escape import block, line
from trilemma.cli.kept import Kept
from trilemma.cli.progress import Progress
from trilemma.result import Result
from trilemma.subagents.events import Event, SessionOpened, SubagentEvent, ToolDenied, ToolReturned


class PlainView:
    """For logs and pipes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    def steps(self) -> int:
        """Steps that were finished."""
        return self._progress.finished

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        """Print what a person would want to read later."""
        self._progress.note(event)
        match event:
            case SessionOpened():
                for note in event.notes:
                    _print(f"  note: {line(note)}")
            case ToolReturned():
                _print(timeline.returned(self._progress.called(event), event).plain)
            case ToolDenied():
                _print(timeline.denied(self._progress.called(event), event).plain)
            case SubagentEvent():
                if text := timeline.below(event, self._progress.members):
                    _print(text.plain)
            case _:
                pass

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to pause."""
        return nullcontext()

    def show(self, result: Result, kept: Kept | None) -> None:
        """The answer goes to standard output, the rest to standard error."""
        print(block(result.text) if sys.stdout.isatty() else result.text, flush=True)
        _print(phrases.summary(result, self._progress.seconds))
        if result.layer is not None:
            _print(phrases.next_command(kept))


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
