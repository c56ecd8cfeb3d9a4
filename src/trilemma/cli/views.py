"""How a run is shown: live on a terminal, as plain lines, or as JSON lines."""

import sys
from contextlib import AbstractContextManager
from typing import Protocol, Self

from trilemma.cli.kept import Kept
from trilemma.result import Result
from trilemma.subagents.events import Event


class View(Protocol):
    """Shows one run while it happens. Entered around the run; ``show`` comes after it."""

    @property
    def steps(self) -> int:
        """Steps that were finished."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def on_event(self, event: Event) -> None:
        """Show one event."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal alone for a question."""
        ...

    def show(self, result: Result, kept: Kept | None) -> None:
        """Show how the run ended, and what to do next."""
        ...


def choose(agent: str, model: str, *, json: bool) -> View:
    """The view that fits where the output goes."""
    if json:
        from trilemma.cli.jsonview import JsonView

        return JsonView()
    from trilemma.cli.progress import Progress

    progress = Progress(agent, model)
    if sys.stderr.isatty():
        from trilemma.cli.liveview import LiveView

        return LiveView(progress)
    from trilemma.cli.plainview import PlainView

    return PlainView(progress)
