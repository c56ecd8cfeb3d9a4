"""``kill -9`` of a gateway at random moments of eight sessions with real containers.

Whatever the moment: nothing is left behind, the ledger verifies, no label says less than what
happened, no call ran that was not recorded, and none counts as done that was not.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import Capability, CapabilitySet
from trilemma.sandbox.mounts import mounted_below
from trilemma.sandbox.runtime import alive

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

Make = Callable[..., Any]

ROUNDS = 10
KILLS = 10
SCRIPT = Path(__file__).with_name("crash_gateway.py")


@dataclass
class Wreck:
    """What a killed gateway left, once its janitor is done."""

    settings: Any
    folders: Path
    temporary: Path
    server: Any
    """Where the sessions' requests arrive."""

    def files(self) -> dict[str, str]:
        """Every tag that was written, and the layer it lies in; empty where directly."""
        layers = self.settings.layers
        found = {p.name: p.parts[-3] for p in layers.glob("*/upper/*-*")}
        return found | {p.name: "" for p in self.folders.glob("direct-*/*-*")}

    def fetched(self) -> set[str]:
        """Every tag that arrived at the server."""
        return {path.removeprefix("/") for path in self.server.paths}


@pytest.fixture
def wreck(settings: Any, origin: Make, tmp_path: Path) -> Wreck:
    server = origin()
    settings.config.mkdir()
    settings.policy.write_text("version: 1\n" + server.policy)
    folders, temporary = tmp_path / "folders", tmp_path / "tmp"
    folders.mkdir()
    temporary.mkdir()
    return Wreck(settings, folders, temporary, server)


@pytest.fixture
def start(wreck: Wreck) -> Iterator[Callable[[str], int]]:
    """Starts gateways; their process ids."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(wreck.temporary)},
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def begin(seed: str) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        s = wreck.settings
        print(
            seed, s.state, s.config, s.runtime, wreck.folders, wreck.server.port, file=process.stdin
        )
        process.stdin.flush()
        return int(process.stdout.readline())

    yield begin
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_killed_gateway_leaves_the_truth_and_nothing_else(
    number: int, wreck: Wreck, start: Callable[[str], int], engine: Any
) -> None:
    dice = random.Random(number)
    unknown = 0
    for kill in range(KILLS):
        gateway = start(f"r{number}k{kill}")
        wait_for_a_moment(kill, wreck, dice)
        kill_and_wait(gateway, wreck.settings.runtime, engine)
        assert list(wreck.temporary.iterdir()) == []
        unknown += recovered(wreck)
        nothing_but_the_truth(wreck)
        if kill == 0:
            assert unknown, "a request had arrived, and its call is not unknown"
    assert wreck.files()


def test_sabotage_a_call_that_ran_unrecorded_is_noticed(wreck: Wreck) -> None:
    Ledger.open(wreck.settings.ledger).close()
    nothing_but_the_truth(wreck)
    upper = wreck.settings.layers / "layer-0" / "upper"
    upper.mkdir(parents=True)
    (upper / "r0k0-0-1").touch()
    with pytest.raises(AssertionError, match="never recorded"):
        nothing_but_the_truth(wreck)


def test_sabotage_a_call_that_counts_as_done_and_was_not_is_noticed(wreck: Wreck) -> None:
    with Ledger.open(wreck.settings.ledger) as ledger:
        ledger.append(Event(kind=Kind.CALL_RESERVED, domain="d", call="r0k0-0-1"))
        ledger.append(
            Event(kind=Kind.CALL_COMMITTED, domain="d", call="r0k0-0-1", body={"ok": True})
        )
    with pytest.raises(AssertionError, match="counts as done"):
        nothing_but_the_truth(wreck)


def test_sabotage_a_capability_that_was_used_and_not_taken_is_noticed(wreck: Wreck) -> None:
    with Ledger.open(wreck.settings.ledger) as ledger:
        ledger.append(Event(kind=Kind.CALL_RESERVED, domain="d", call="r0k0-0-1"))
    wreck.server.paths.append("/r0k0-0-1")
    with pytest.raises(AssertionError, match="held"):
        nothing_but_the_truth(wreck)


def wait_for_a_moment(kill: int, wreck: Wreck, dice: random.Random) -> None:
    """While a request is answered, soon after something happened, or at any time from the start."""
    if kill == 0:
        wreck.server.hold = threading.Event()
        assert wreck.server.arrived.wait(60)
        return
    if kill == 1:
        wreck.server.hold.set()
    if kill % 2:
        before = len(wreck.files())
        eventually(lambda: len(wreck.files()) > before, "nothing happens")
    # Not a condition to wait for: the moment is what is drawn by lot.
    time.sleep(dice.uniform(0, 0.7))


def kill_and_wait(gateway: int, runtime: Path, engine: Any) -> None:
    """Kill it with everything it is doing, and wait until its janitor is done."""
    # Held still for a moment, so that nobody is born between the look around and the end.
    os.kill(gateway, signal.SIGSTOP)
    eventually(lambda: state_of(gateway) in "TXZ", "it does not stop")
    assert state_of(gateway) == "T", "the gateway ended by itself"
    children = descendants(gateway)
    instances = [path.name for path in runtime.iterdir()] if runtime.exists() else []
    os.kill(gateway, signal.SIGKILL)
    eventually(lambda: not any(map(running, children)), "processes stay")
    eventually(lambda: not list(runtime.iterdir()), "the runtime directory stays")
    assert not mounted_below(runtime)
    for instance in instances:
        assert not alive(instance)
        assert not engine.containers(f"dev.trilemma.instance={instance}")


def recovered(wreck: Wreck) -> int:
    """Recover as the next gateway does; how many calls are unknown by that."""
    if not wreck.settings.ledger.exists():
        return 0
    verify(wreck.settings.ledger)
    with Ledger.open(wreck.settings.ledger) as ledger:
        open_before = unsettled(ledger)
        made = recover(ledger, alive)
        unknown = {r.event.call for r in made if r.event.kind is Kind.CALL_UNKNOWN}
        assert unknown == open_before
        assert ledger.open_sessions() == []
    assert verify(wreck.settings.ledger).unsettled == 0
    return len(unknown)


def nothing_but_the_truth(wreck: Wreck) -> None:
    """Compare what the ledger says with what lies there and what arrived."""
    files, fetched = wreck.files(), wreck.fetched()
    if not wreck.settings.ledger.exists():
        assert not files
        assert not fetched
        return
    with Ledger.open(wreck.settings.ledger) as ledger:
        reserved = {r.event.call: r.event for r in ledger.events(kind=Kind.CALL_RESERVED)}
        done = {r.event.call for r in ledger.events(kind=Kind.CALL_COMMITTED) if r.event.body["ok"]}
        happened = files.keys() | fetched
        assert happened <= reserved.keys(), "a call ran that was never recorded"
        assert done <= happened, "a call counts as done that was not"
        used: dict[str, CapabilitySet] = {}
        for call in happened:
            event = reserved[call]
            took = {Capability.FILES} if call in files else {Capability.INTERNET}
            took |= {Capability.CODE} if event.what == "run_code" else set()
            used[event.domain] = used.get(event.domain, frozenset()) | took
        for domain, capabilities in used.items():
            held = ledger.held(domain)
            assert capabilities <= held.capabilities, "more was used than is held"
            assert len(held.capabilities) <= 2
            assert not held.opened
        for call, layer in files.items():
            event = reserved[call]
            name = layer or opened_in(ledger, event.session)
            assert used[event.domain] <= (ledger.label(name) or frozenset()), call


def opened_in(ledger: Ledger, session: str) -> str:
    """The workspace that a session opened."""
    (opened,) = ledger.events(kind=Kind.WORKSPACE_OPENED, session=session)
    return opened.event.workspace


def unsettled(ledger: Ledger) -> set[str]:
    """Calls that were reserved and never settled."""
    calls: set[str] = set()
    for recorded in ledger.events():
        if recorded.event.kind is Kind.CALL_RESERVED:
            calls.add(recorded.event.call)
        elif recorded.event.kind in (Kind.CALL_COMMITTED, Kind.CALL_UNKNOWN):
            calls.discard(recorded.event.call)
    return calls


def descendants(pid: int) -> set[tuple[int, str]]:
    """Every process below one, with its start time: a process id may be used again."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = read_stat(int(stat.parent.name))
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = set(), [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            fields = read_stat(child)
            if fields is not None:
                found.add((child, fields[19]))
                waiting.append(child)
    return found


def running(process: tuple[int, str]) -> bool:
    fields = read_stat(process[0])
    return fields is not None and fields[19] == process[1] and fields[0] not in "XZ"


def state_of(pid: int) -> str:
    fields = read_stat(pid)
    return "X" if fields is None else fields[0]


def read_stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def eventually(condition: Callable[[], bool], otherwise: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
