"""Without grants the first two capabilities latch, and nothing whatever takes the third."""

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import Denied
from trilemma.gateway.ledger import writing
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import ALL, NONE, Capability, parse

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]
Act = Callable[[], bool]

SCRIPT = Path(__file__).with_name("take_one.py")


class World:
    """Three acts of one domain, each of which takes another capability and leaves a trace."""

    def __init__(self, gate: Any, server: Any) -> None:
        self.gate = gate
        self.server = server
        self.code: list[str] = []
        self.files: list[str] = []

    def files_act(self) -> bool:
        try:
            session = self.gate.open("read_file", files=True)
        except Denied:
            return False
        outcome = session.call("read_file", path="a.txt")
        self.files += [outcome.text] if outcome.ok else []
        return bool(outcome.ok)

    def internet_act(self) -> bool:
        session = self.gate.open("http_fetch", hosts=[self.server.rule()])
        return bool(session.call("http_fetch", url=self.server.url("/x")).ok)

    def code_act(self) -> bool:
        session = self.gate.open("run_code")
        outcome = session.call("run_code", language="python", code="print(6 * 7)")
        self.code += [outcome.text] if outcome.ok else []
        return bool(outcome.ok)

    @property
    def acts(self) -> dict[Capability, Act]:
        return {
            Capability.FILES: self.files_act,
            Capability.INTERNET: self.internet_act,
            Capability.CODE: self.code_act,
        }

    def happened(self) -> set[Capability]:
        """What the traces say, whatever was returned."""
        return {
            capability
            for capability, trace in (
                (Capability.FILES, self.files),
                (Capability.INTERNET, self.server.paths),
                (Capability.CODE, self.code),
            )
            if trace
        }


@pytest.fixture
def world(gate: Make, origin: Make) -> World:
    server = origin()
    return World(gate(server.policy), server)


@pytest.mark.parametrize("order", list(itertools.permutations(Capability)), ids="-".join)
def test_the_third_is_refused_in_every_order(world: World, order: tuple[Capability, ...]) -> None:
    outcomes = [world.acts[capability]() for capability in order]
    assert outcomes == [True, True, False]
    assert world.happened() == set(order[:2])
    held = world.gate.ledger.held(world.gate.gateway._domain)
    assert held.capabilities == frozenset(order[:2])
    assert [cause.capability for cause in held.cause] == [str(c) for c in order[:2]]


@pytest.mark.parametrize("second", ["http_fetch", "run_code"])
def test_one_session_latches_as_well(world: World, second: str) -> None:
    hosts = [world.server.rule()]
    session = world.gate.open("read_file", "http_fetch", "run_code", files=True, hosts=hosts)
    calls: dict[str, dict[str, Any]] = {
        "http_fetch": {"url": world.server.url("/x")},
        "run_code": {"language": "python", "code": "open('ran', 'w')"},
    }
    third = next(name for name in calls if name != second)
    session.ok(second, **calls[second])
    refused = session.call(third, **calls[third])
    assert refused.denied
    assert "third_capability" in refused.reasons
    assert bool(world.server.paths) is (second == "http_fetch")
    assert (session.upper / "ran").exists() is (second == "run_code")


def test_threads_that_take_all_three_at_once_never_get_three(world: World) -> None:
    for number in range(4):
        world.gate.gateway._domain = f"dom_{number}"
        world.code.clear()
        world.files.clear()
        world.server.paths.clear()
        outcomes = at_once(list(world.acts.values()) * 2)
        assert True in outcomes
        assert len(world.happened()) <= 2
        held = world.gate.ledger.held(world.gate.gateway._domain).capabilities
        assert world.happened() <= held
        assert len(held) <= 2


def test_sabotage_with_a_ledger_that_never_looks_again_three_are_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = world.gate.ledger.held(world.gate.gateway._domain)

    def credulous(ledger: Ledger, domain: str, build: Any, decide: Any, event: Any) -> Reservation:
        request = build(stale)
        decision = decide(request)
        new = request.taking | decision.taking if decision.allowed else NONE
        return Reservation(request, decision, ledger.append(event(request, decision, new)))

    monkeypatch.setattr(Ledger, "reserve", credulous)
    monkeypatch.setattr(writing, "check", lambda event, facts: None)
    world.gate.sabotaged = True
    assert at_once(list(world.acts.values())) == [True, True, True]
    assert world.happened() == ALL
    assert world.gate.ledger.held(world.gate.gateway._domain).capabilities == ALL


def test_processes_that_share_a_ledger_and_a_domain_never_get_three(
    world: World, settings: Any, folder: Path
) -> None:
    for number in range(2):
        world.server.paths.clear()
        domain = f"dom_shared_{number}"
        outcomes = in_processes(settings, folder, domain, world.server.port)
        held = world.gate.ledger.held(domain).capabilities
        assert 1 <= len(held) <= 2
        assert parse([name for name, ran in outcomes.items() if ran]) == held
        assert bool(world.server.paths) is outcomes["internet"]
    assert world.gate.events(Kind.CALL_UNKNOWN) == []
    verify(settings.ledger)


def at_once(acts: list[Act]) -> list[bool]:
    """Run all in threads that start together."""
    barrier = threading.Barrier(len(acts))

    def run(act: Act) -> bool:
        barrier.wait(timeout=60)
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def in_processes(settings: Any, folder: Path, domain: str, port: int) -> dict[str, bool]:
    """Three gateways of their own, told to act at the same moment."""
    places = [str(settings.state), str(settings.config), str(settings.runtime), str(folder)]
    processes = {
        name: subprocess.Popen(
            [sys.executable, str(SCRIPT), name, domain, str(port), *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("files", "internet", "code")
    }
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return {name: json.loads(p.communicate(timeout=60)[0]) for name, p in processes.items()}
