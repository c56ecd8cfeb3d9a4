"""The latch under threads and under two gateways answers as one that does one thing at a time."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.linear.checker import Operation, Verdict, require_linear, search
from tests.linear.latch import Act, Latch, Names, step
from tests.linear.recording import FILES, begun, plan, record

from trilemma.gateway.ledger import rules, store, writing
from trilemma.gateway.ledger.store import Build, Decide, Ledger, Reservation, Write
from trilemma.gateway.ledger.verify import verify

ROOT = Path(__file__).parents[2]
IN_THREADS = range(100)
IN_PROCESSES = range(1000, 1100)
HEAD_START = 3_000_000
"""Nanoseconds until all threads of a history begin."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, durability="normal") as opened:
        yield opened


def beginning(grants: Mapping[str, Names]) -> Latch:
    return Latch(grants=frozenset(grants.items()))


def make_workspaces(ledger: Ledger, seed: int) -> None:
    ledger.append_many([begun(f"h{seed}-w{n}", frozenset()) for n in range(2)])


def overlapping(history: Sequence[Operation[Act]]) -> int:
    """How many pairs of operations ran at the same time."""
    return sum(
        a.invoked < b.returned and b.invoked < a.returned
        for n, a in enumerate(history)
        for b in history[:n]
    )


def test_histories_of_threads_are_linear(ledger: Ledger, path: Path) -> None:
    together, answers = 0, set()
    for seed in IN_THREADS:
        make_workspaces(ledger, seed)
        grants, threads = plan(seed)
        history = record(ledger, grants, threads, time.monotonic_ns() + HEAD_START)
        require_linear(history, step, beginning(grants))
        together += overlapping(history)
        answers |= {each.answer for each in history}
    assert together > 3 * len(IN_THREADS)
    assert {"allowed", "denied", "in use"} <= answers
    verify(path)


@pytest.fixture
def workers(ledger: Ledger, path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Two gateways over one ledger."""
    command = [sys.executable, "-m", "tests.linear.worker", str(path)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    started = [subprocess.Popen([*command, which], **pipes) for which in "01"]
    try:
        for worker in started:
            assert _stdout(worker) == "ready\n"
        yield started
    finally:
        for worker in started:
            worker.communicate(timeout=30)


def _stdout(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


def _seen(line: str) -> list[Operation[Act]]:
    found = []
    for each in json.loads(line):
        does = Act(**{**each["does"], "names": frozenset(each["does"]["names"])})
        found.append(Operation(**{**each, "does": does}))
    return found


def test_histories_of_two_gateways_over_one_ledger_are_linear(
    ledger: Ledger, path: Path, workers: list["subprocess.Popen[str]"]
) -> None:
    together = 0
    for seed in IN_PROCESSES:
        make_workspaces(ledger, seed)
        start = time.monotonic_ns() + HEAD_START
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{seed} {start}\n")
            worker.stdin.flush()
        halves = [_seen(_stdout(worker)) for worker in workers]
        require_linear(halves[0] + halves[1], step, beginning(plan(seed)[0]))
        together += overlapping(halves[0] + halves[1]) - sum(map(overlapping, halves))
    assert together > 2 * len(IN_PROCESSES)
    verify(path)


THIRDS = [
    [Act("take", "d", name, names=frozenset({name})), Act("held", "d", name)]
    for name in ("files", "internet", "code")
]
RIVALS = [[Act("open", domain, domain, "w", FILES, write=True)] for domain in "ab"]


def believe(barrier: threading.Barrier) -> Callable[..., Reservation]:
    """Sabotage: what was decided outside the transaction is recorded, whatever happened since."""

    def reserve(
        ledger: Ledger, domain: str, build: Build, decide: Decide, event: Write
    ) -> Reservation:
        held = ledger.held(domain)
        proposed = store._propose(held, build, decide, event)
        barrier.wait(timeout=30)
        with ledger._transaction(lazy=False) as view:
            recorded = writing.write(view, proposed.event)
        return Reservation(proposed.request, proposed.decision, recorded)

    return reserve


def recorded(ledger: Ledger, threads: Sequence[Sequence[Act]]) -> list[Operation[Act]]:
    ledger.append(begun("w", frozenset()))
    return record(ledger, {}, threads, time.monotonic_ns() + HEAD_START)


def test_three_who_take_different_ones_are_a_linear_history(ledger: Ledger) -> None:
    history = recorded(ledger, THIRDS)
    require_linear(history, step, Latch())
    assert sorted(each.answer for each in history if each.does.verb == "take") == [
        *["allowed", "allowed", "denied"]
    ]


def test_sabotage_without_the_look_inside_the_transaction_no_order_explains_the_history(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "reserve", believe(threading.Barrier(3)))
    monkeypatch.setattr(writing, "check", lambda event, facts: None)
    history = recorded(ledger, THIRDS)
    assert search(history, step, Latch()) is Verdict.NOT_LINEAR
    with pytest.raises(AssertionError, match="no order explains it"):
        require_linear(history, step, Latch())


def test_two_who_write_to_one_workspace_are_a_linear_history(ledger: Ledger) -> None:
    history = recorded(ledger, RIVALS)
    require_linear(history, step, Latch())
    assert sorted(each.answer for each in history) == ["allowed", "in use"]


def test_sabotage_without_exclusive_writing_no_order_explains_the_history(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_check_exclusive", lambda *_: None)
    assert search(recorded(ledger, RIVALS), step, Latch()) is Verdict.NOT_LINEAR
