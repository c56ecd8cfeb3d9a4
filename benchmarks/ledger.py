"""The ledger at both durabilities, beside the disk itself."""

import os
from pathlib import Path

from trilemma.gateway.enforcement import Actor, Enforcement, Entry, new_id, request
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import decision_point
from trilemma.gateway.settings import Durability
from trilemma.policy.capability import Capability
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.operator import OperatorPolicy
from trilemma.policy.request import Act, ToolFacts

from .disk import disk
from .measure import Finding, Ratio, Sample, timed
from .stage import Stage

TITLE = "The ledger"
METHOD = """
*Append* records one event. *Reserve and commit* is what surrounds a tool call: fold what the
domain holds, decide, write in a transaction that folds again, and later write the outcome. At
`full` every event is on disk before the act that it records begins; at `normal` a power cut may
lose the last calls (never a label), and killing the process loses nothing at either. All take
turns in one run on one disk with writing a page of 4 KiB and waiting for it. *Verify* replays
a whole ledger: hashes, order, and the rules.
"""
_ROUNDS = 100
_TURN = 10
_FILES = frozenset({Capability.FILES})
_TOOL = ToolFacts("read_file", "sha256:" + "0" * 64, declared=True)


def run(stage: Stage) -> Finding:
    """Measure."""
    folder = stage.folder()
    point = decision_point(OperatorPolicy())
    times: dict[str, list[float]] = {}
    with (
        disk(folder) as pages,
        _Writer(folder, "full", point) as full,
        _Writer(folder, "normal", point) as normal,
    ):
        steps = {
            "append, full": full.append,
            "reserve and commit, full": full.reserve_and_commit,
            "append, normal": normal.append,
            "reserve and commit, normal": normal.reserve_and_commit,
            "fdatasync of 4 KiB": pages.write_page,
        }
        for _ in range(stage.times(_ROUNDS)):
            for name, step in steps.items():
                times.setdefault(name, []).extend(timed(step, _TURN))
        events = full.ledger.head().seq
    found = {name: Sample.of_seconds(name, seconds) for name, seconds in times.items()}
    checking = timed(lambda: verify(folder / "full.db"), 3)
    per_event = Sample.of(f"verify, per event of {events}", [1e3 * s / events for s in checking])
    size = os.path.getsize(folder / "full.db") / events / 1024
    return Finding(
        (*found.values(), per_event, Sample.of("disk space of an event", [size], "KiB")),
        (
            Ratio.between(found["append, full"], found["fdatasync of 4 KiB"]),
            Ratio.between(found["reserve and commit, full"], found["reserve and commit, normal"]),
        ),
    )


class _Writer:
    """One domain that acts in a ledger of its own."""

    def __init__(self, folder: Path, durability: Durability, point: DecisionPoint) -> None:
        self.ledger = Ledger.open(folder / f"{durability}.db", durability=durability)
        self._enforcement = Enforcement(self.ledger, point)
        self._actor = Actor("user:bench", new_id("dom"), new_id("ses"), grants=None)

    def append(self) -> None:
        """Record one event that changes nothing."""
        self._enforcement.record(self._actor, Event(kind=Kind.SANDBOX_CREATED, what="sandbox"))

    def reserve_and_commit(self) -> None:
        """Everything around a call but the call."""
        call = new_id("call")
        entry = Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, "read_file", call)
        reservation = self._enforcement.reserve(
            self._actor,
            entry,
            lambda held: request(self._actor, held, Act.TOOL, _FILES, tool=_TOOL),
        )
        assert reservation.decision.allowed
        self._enforcement.settle(
            self._actor, Kind.CALL_COMMITTED, call, "read_file", {"ok": True, "bytes": 400}
        )

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()
