"""Recorded events as lines: for people, or as JSON."""

import json as jsonlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from trilemma.cli import ledgers
from trilemma.cli.escape import line
from trilemma.cli.trees import place, sessions_of
from trilemma.errors import SpecError
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.settings import Settings
from trilemma.policy.capability import ordered, show

_LOOK = 0.3


@dataclass(frozen=True, slots=True)
class Query:
    """Which events are wanted. Empty means all."""

    session: str = ""
    domain: str = ""
    kind: str = ""
    tree: str = ""
    """Events of all sessions below this root, and of it."""

    def __post_init__(self) -> None:
        if self.kind and not any(self._has_kind(kind) for kind in Kind):
            known = ", ".join(Kind)
            raise SpecError(f"unknown kind of event {self.kind!r}; there are: {known}")

    def find(self, ledger: Ledger, after: int) -> Iterator[Recorded]:
        """The events after a position."""
        tree = sessions_of(ledger, self.tree) if self.tree else None
        for found in ledger.events(after=after, session=self.session, domain=self.domain):
            if tree is not None and found.event.session not in tree:
                continue
            if not self.kind or self._has_kind(found.event.kind):
                yield found

    def _has_kind(self, kind: Kind) -> bool:
        return kind == self.kind or kind.startswith(f"{self.kind}.")


def print_events(settings: Settings, query: Query, *, follow: bool, json: bool) -> None:
    """Print what matches; with ``follow``, until somebody ends it."""
    with ledgers.opened(settings) as ledger:
        after = 0
        while True:
            newest = ledger.head().seq
            for found in query.find(ledger, after):
                text = jsonlib.dumps(event_object(found)) if json else event_line(found)
                print(text, flush=follow)
                newest = max(newest, found.seq)
            after = newest
            if not follow:
                return
            time.sleep(_LOOK)


def event_line(found: Recorded) -> str:
    """One event for people."""
    event = found.event
    parts = [f"{found.seq:>6}", found.at[:19].replace("T", " "), f"{event.kind:<18}"]
    parts.append(line(event.what, 80))
    if event.takes:
        parts.append(f"takes {show(event.takes)}")
    for name, label in sorted(event.joins.items()):
        if label:
            parts.append(f"{line(name)} carries {show(label)}")
    for name, label in sorted(event.drops.items()):
        parts.append(f"{line(name)} carries {show(label)} no more")
    parts.append(place(event.body) if event.kind is Kind.SESSION_OPENED else "")
    decision = event.body.get("decision") or {}
    reasons = decision.get("reasons") or event.body.get("reasons") or ()
    if reasons:
        parts.append("[" + ", ".join(line(str(reason)) for reason in reasons) + "]")
    parts += [line(name) for name in (event.call, event.session) if name]
    return "  ".join(part for part in parts if part)


def event_object(found: Recorded) -> dict[str, Any]:
    """One event as JSON values: everything that stands in the ledger."""
    event = found.event
    return {
        "seq": found.seq,
        "at": found.at,
        "hash": found.hash,
        **{name: value for name, value in asdict(event).items() if name not in _SETS},
        "kind": str(event.kind),
        "takes": [str(capability) for capability in ordered(event.takes)],
        "joins": {name: [str(c) for c in ordered(label)] for name, label in event.joins.items()},
        "drops": {name: [str(c) for c in ordered(label)] for name, label in event.drops.items()},
        "opens": {name: str(use) for name, use in event.opens.items()},
        "closes": sorted(event.closes),
        "body": dict(event.body),
    }


_SETS = frozenset({"takes", "joins", "opens", "closes", "drops", "body", "kind"})
