"""The runs that are kept, for people."""

import json as jsonlib
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trilemma.cli import phrases
from trilemma.cli.escape import line
from trilemma.gateway.runs.places import RUNNING, Runs, Status
from trilemma.gateway.settings import Settings

_PIPE_WIDTH = 240


def list_runs(*, json: bool) -> None:
    """Print every run, oldest first."""
    found = list(Runs.of(Settings.from_environment().state))
    if json:
        for status in found:
            print(jsonlib.dumps({**asdict(status), "resumable": status.resumable}))
        return
    if not found:
        print("nothing has run here yet")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("RUN", "AGENT", "MODEL", "BEGUN", "STATE"):
        table.add_column(name, no_wrap=True)
    for status in found:
        table.add_row(*map(Text, _cells(status)), _state(status))
    # A pipe has no width: nothing is cut for whoever reads it.
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(highlight=False, width=width).print(table)
    if waiting := [status.run for status in found if status.resumable]:
        print(f"\ngo on: trilemma resume {waiting[-1]}")


def forget_run(run: str) -> None:
    """Delete what is kept of a run.

    Raises:
        SpecError: there is no such run, or it is running.
    """
    Runs.of(Settings.from_environment().state).forget(run)
    print(f"{line(run)} is forgotten; what it did stands in the ledger")


def _cells(status: Status) -> tuple[str, ...]:
    age = datetime.now(UTC) - datetime.fromisoformat(status.begun)
    begun = f"{phrases.duration(age.total_seconds())} ago"
    return status.run, line(status.agent), line(status.model), begun


def _state(status: Status) -> Text:
    style = "green" if status.state == RUNNING else "yellow" if status.resumable else ""
    why = f": {line(status.why)}" if status.why else ""
    return Text(f"{status.state}{why}", style)
