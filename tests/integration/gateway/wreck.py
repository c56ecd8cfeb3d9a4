"""What a gateway leaves behind when it ends, and whether the ledger says the truth about it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import Capability, CapabilitySet
from trilemma.sandbox.mounts import mounted_below
from trilemma.sandbox.runtime import alive

SCRIPT = Path(__file__).with_name("crash_gateway.py")


@dataclass
class Wreck:
    """What a killed gateway left, once its janitor is done."""

    settings: Any
    folders: Path
    temporary: Path
    server: Any
    """Where the sessions' requests arrive."""

    @classmethod
    def below(cls, root: Path, settings: Any, server: Any) -> Self:
        """Make the place for gateways with these settings."""
        settings.config.mkdir()
        settings.policy.write_text("version: 1\n" + server.policy)
        folders, temporary = root / "folders", root / "tmp"
        folders.mkdir()
        temporary.mkdir()
        return cls(settings, folders, temporary, server)

    @contextmanager
    def gateways(self) -> Iterator[Callable[[str], int]]:
        """Starts gateways, each with a seed; their process ids."""
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(self.temporary)},
        )
        asking, answering = process.stdin, process.stdout
        assert asking is not None
        assert answering is not None
        s = self.settings

        def begin(seed: str) -> int:
            words = (seed, s.state, s.config, s.runtime, self.folders, self.server.port)
            print(*words, file=asking, flush=True)
            return int(answering.readline())

        try:
            yield begin
        finally:
            # Where a test fails, its gateway still runs.
            for pid, _ in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate()
        assert process.returncode == 0

    def files(self) -> dict[str, str]:
        """Every tag that was written, and the layer it lies in; empty where directly."""
        layers = self.settings.layers
        found = {p.name: p.parts[-3] for p in layers.glob("*/upper/*-*")}
        return found | {p.name: "" for p in self.folders.glob("direct-*/*-*")}

    def fetched(self) -> set[str]:
        """Every tag that arrived at the server."""
        return {path.removeprefix("/") for path in self.server.paths}


def kill_and_wait(gateway: int, runtime: Path, engine: Any) -> None:
    """Kill it with everything it is doing, and wait until its janitor is done."""
    children, instances = hold_still(gateway, runtime)
    os.kill(gateway, signal.SIGKILL)
    nothing_stays(children, instances, runtime, engine)


def hold_still(gateway: int, runtime: Path) -> tuple[set[tuple[int, str]], list[str]]:
    """Stop it; everything that runs below it, and the names of the instances there are."""
    # Held still for a moment, so that nobody is born between the look around and the end.
    os.kill(gateway, signal.SIGSTOP)
    eventually(lambda: state_of(gateway) in "TXZ", "it does not stop")
    assert state_of(gateway) == "T", "the gateway ended by itself"
    children = descendants(gateway)
    return children, [path.name for path in runtime.iterdir()] if runtime.exists() else []


def nothing_stays(
    children: set[tuple[int, str]], instances: list[str], runtime: Path, engine: Any
) -> None:
    """Wait until all that belonged to a gateway that ended is gone."""
    eventually(lambda: not any(map(running, children)), "processes stay")
    # The engine takes its time for each container.
    eventually(lambda: not list(runtime.glob("*")), lambda: what_stays(runtime), 120)
    assert not mounted_below(runtime)
    for instance in instances:
        assert not alive(instance)
        assert not engine.containers(f"dev.trilemma.instance={instance}")
        assert not engine.volumes(f"dev.trilemma.instance={instance}")


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


def what_stays(runtime: Path) -> str:
    """What is left in a runtime directory, and what janitors said about it."""
    left = sorted(str(path.relative_to(runtime)) for path in runtime.rglob("*"))
    said = [path.read_text() for path in runtime.glob("*/janitor.log")]
    return f"the runtime directory stays: {left[:40]}, mounts {mounted_below(runtime)}, {said}"


def eventually(
    condition: Callable[[], bool], otherwise: str | Callable[[], str], seconds: float = 30.0
) -> None:
    """Wait for a condition; ``otherwise`` says what is wrong where it never holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.02)
