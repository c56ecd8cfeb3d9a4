"""Sessions that run now, in whatever process, and how they are ended."""

import json as jsonlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trilemma.cli import ledgers, phrases
from trilemma.cli.escape import line
from trilemma.cli.failure import Exit, Stop
from trilemma.cli.lamps import lamps
from trilemma.cli.trees import in_order
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.settings import Settings
from trilemma.gateway.stops import request_stop
from trilemma.policy.capability import CapabilitySet, ordered, parse
from trilemma.sandbox.runtime import Instance, alive

_PATIENCE = 30.0
_LOOK = 0.1
_PIPE_WIDTH = 240
_MODES = {"mediated": " (mediated)"}
"""What is said of a session that its place in the tree does not show."""


@dataclass(frozen=True, slots=True)
class Running:
    """One session that the ledger holds open."""

    session: str
    domain: str
    agent: str
    model: str
    grants: CapabilitySet | None
    held: CapabilitySet
    calls: int
    seconds: float
    instance: str
    parent: str | None = None
    mode: str = "root"
    tree: str = ""

    @property
    def process(self) -> int:
        """The process of its gateway."""
        parsed = Instance.parse(self.instance)
        return parsed.pid if parsed else 0

    @property
    def alive(self) -> bool:
        """Whether its gateway still runs; one that cannot be judged may."""
        return alive(self.instance)


def list_sessions(*, json: bool) -> None:
    """Print the sessions that run, and those whose gateway died."""
    settings = Settings.from_environment()
    if not settings.ledger.exists():
        _print_sessions([], json=json)
        return
    with ledgers.opened(settings) as ledger:
        _print_sessions(_sessions(ledger), json=json)


def stop_sessions(session: str, *, every: bool) -> None:
    """Ask the gateways to end sessions, and wait until the ledger says so.

    Raises:
        Stop: there is no such session, or it did not end in time.
    """
    if bool(session) == every:
        raise Stop("name one session, or say --all", Exit.USAGE)
    settings = Settings.from_environment()
    with ledgers.opened(settings) as ledger:
        wanted = [s for s in _sessions(ledger) if s.alive and (every or s.session == session)]
        if not wanted and every:
            print("no session is running")
            return
        if not wanted:
            raise Stop(f"no session {session!r} is running; 'trilemma ps' shows those that are")
        for each in wanted:
            request_stop(settings.runtime / each.instance, each.session)
        _await_ends(ledger, wanted, time.monotonic)


def _await_ends(ledger: Ledger, wanted: list[Running], clock: Callable[[], float]) -> None:
    deadline = clock() + _PATIENCE
    waiting = {each.session: each for each in wanted}
    while waiting:
        still = {opened.event.session for opened in ledger.open_sessions()}
        for name in [name for name in waiting if name not in still]:
            print(f"stopped {line(name)}")
            del waiting[name]
        if waiting and clock() > deadline:
            processes = ", ".join(str(each.process) for each in waiting.values())
            raise Stop(
                f"{phrases.counted(len(waiting), 'session')} did not end in {_PATIENCE:.0f} "
                f"seconds; end process {processes} itself, its janitor cleans up"
            )
        if waiting:
            time.sleep(_LOOK)


def _sessions(ledger: Ledger) -> list[Running]:
    return [_running(ledger, opened) for opened in ledger.open_sessions()]


def _running(ledger: Ledger, opened: Recorded) -> Running:
    event, body = opened.event, opened.event.body
    grants = body.get("grants")
    age = datetime.now(UTC) - datetime.fromisoformat(opened.at)
    reserved = ledger.events(session=event.session, kind=Kind.CALL_RESERVED)
    return Running(
        session=event.session,
        domain=event.domain,
        agent=str(body.get("agent", "")),
        model=str(body.get("model", "")),
        grants=None if grants is None else parse(grants),
        held=ledger.held(event.domain).capabilities,
        calls=sum(1 for _ in reserved),
        seconds=age.total_seconds(),
        instance=str(body.get("instance", "")),
        parent=body.get("parent"),
        mode=str(body.get("mode", "root")),
        tree=str(body.get("tree", event.session)),
    )


def _print_sessions(sessions: list[Running], *, json: bool) -> None:
    if json:
        for each in sessions:
            print(jsonlib.dumps(_session_object(each)))
        return
    if not sessions:
        print("no session is running")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("SESSION", "AGENT", "MODEL", "HOLDS", "CALLS", "AGE", "PROCESS"):
        table.add_column(name, no_wrap=True)
    for each, depth in in_order(sessions, lambda s: s.session, lambda s: s.parent):
        process = (
            Text(str(each.process or "?")) if each.alive else Text("dead: trilemma clean", "red")
        )
        table.add_row(
            Text(line(each.session)),
            Text("  " * depth + line(each.agent) + _MODES.get(each.mode, "")),
            Text(line(each.model)),
            lamps(each.grants, each.held),
            Text(str(each.calls)),
            Text(phrases.duration(each.seconds)),
            process,
        )
    # A pipe has no width: nothing is cut for whoever reads it.
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(highlight=False, width=width).print(table)


def _session_object(each: Running) -> dict[str, Any]:
    return {
        "session": each.session,
        "domain": each.domain,
        "agent": each.agent,
        "model": each.model,
        "grants": None if each.grants is None else [str(c) for c in ordered(each.grants)],
        "held": [str(c) for c in ordered(each.held)],
        "parent": each.parent,
        "mode": each.mode,
        "tree": each.tree,
        "calls": each.calls,
        "seconds": round(each.seconds, 3),
        "process": each.process,
        "alive": each.alive,
    }
