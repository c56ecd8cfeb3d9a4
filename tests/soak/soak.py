"""``make soak``: very many sessions, ended in every way there is; afterwards nothing is left.

Gateways with eight sessions each run one after the other and are ended at random moments: killed,
killed after their janitor was, interrupted as by Ctrl-C, asked to stop, or robbed of containers
under running calls. A season is a place of its own: state, runtime directory, ledger.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.gateway.origin import served
from tests.integration.gateway.wreck import (
    Wreck,
    descendants,
    eventually,
    hold_still,
    nothing_but_the_truth,
    nothing_stays,
    recovered,
    state_of,
)
from tests.soak.leftovers import LABEL, abandoned_cgroups, everything

from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.settings import Settings
from trilemma.sandbox import images
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.leftovers import sweep

PER_SEASON = 100
"""Sessions with one ledger: every check reads it from its beginning."""
LATER = (0, 0, 1, 4, 8, 24)
"""Sessions that a gateway may begin before it is ended."""


class Season:
    """Gateways that share a place, one after the other."""

    def __init__(self, engine: Engine, wreck: Wreck, dice: random.Random) -> None:
        self.engine = engine
        self.wreck = wreck
        self.dice = dice
        self.endings: Counter[str] = Counter()
        self.unknown = 0
        self.slowest = 0.0
        """Seconds from the end of a gateway until nothing of it was left, at most."""
        self._ends: dict[str, Callable[[int], None]] = {
            "killed": self._kill,
            "killed without its janitor": self._kill_with_janitor,
            "interrupted": self._interrupt,
            "stopped": self._stop,
            "robbed of a container, then killed": self._rob_and_kill,
            "robbed of a container, then stopped": self._rob_and_stop,
        }

    def run(self, sessions: int) -> None:
        """Until there were so many sessions, and every ending."""
        with self.wreck.gateways() as start:
            for number, ending in enumerate(itertools.cycle(self._ends)):
                if self.sessions() >= sessions and number >= len(self._ends):
                    break
                gateway = start(f"s{number}")
                self._wait(gateway)
                began = time.monotonic()
                self._ends[ending](gateway)
                self.slowest = max(self.slowest, time.monotonic() - began)
                assert list(self.wreck.temporary.iterdir()) == []
                self.unknown += recovered(self.wreck)
                self.endings[ending] += 1
        nothing_but_the_truth(self.wreck)

    def sessions(self) -> int:
        """Sessions that the ledger knows of."""
        if not self._path.exists():
            return 0
        with Ledger.open(self._path) as ledger:
            return _sessions(ledger)

    def _wait(self, gateway: int) -> None:
        """For a moment that is drawn by lot: from the very start to some sessions later."""
        later = self.dice.choice(LATER)
        if later:
            eventually(self._path.exists, "no ledger", 120)
            with Ledger.open(self._path) as ledger:
                enough = _sessions(ledger) + later
                eventually(lambda: _sessions(ledger) >= enough, "no sessions", 120)
        time.sleep(self.dice.uniform(0, 0.7))
        assert state_of(gateway) not in "XZ", "the gateway ended by itself"

    def _kill(self, gateway: int) -> None:
        children, instances = hold_still(gateway, self._runtime)
        os.kill(gateway, signal.SIGKILL)
        nothing_stays(children, instances, self._runtime, self.engine)

    def _kill_with_janitor(self, gateway: int) -> None:
        """Then nobody cleans up but a person, with ``trilemma clean``."""
        children, instances = hold_still(gateway, self._runtime)
        for pid, _ in children:
            with suppress(OSError):
                if b"trilemma.sandbox.janitor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        os.kill(gateway, signal.SIGKILL)
        self._gone(gateway)
        # A container whose creation was under way may appear later.
        eventually(lambda: not self._swept() and not self._swept(), "there is always more to sweep")
        nothing_stays(children, instances, self._runtime, self.engine)

    def _interrupt(self, gateway: int) -> None:
        self._end(gateway, signal.SIGINT)

    def _stop(self, gateway: int) -> None:
        self._end(gateway, signal.SIGTERM)

    def _rob_and_kill(self, gateway: int) -> None:
        self._rob()
        # It may have ended by itself, where the container was one that it was just making.
        if state_of(gateway) in "XZ":
            nothing_stays(set(), [], self._runtime, self.engine)
        else:
            self._kill(gateway)

    def _rob_and_stop(self, gateway: int) -> None:
        self._rob()
        self._end(gateway, signal.SIGTERM)

    def _rob(self) -> None:
        own = [
            str(container["Id"])
            for instance in self._instances()
            for container in self.engine.containers(f"{LABEL}={instance}")
        ]
        for container in self.dice.sample(own, min(2, len(own))):
            self.engine.remove(container)

    def _end(self, gateway: int, how: signal.Signals) -> None:
        children, instances = descendants(gateway), self._instances()
        with suppress(ProcessLookupError):
            os.kill(gateway, how)
        self._gone(gateway)
        nothing_stays(children, instances, self._runtime, self.engine)

    def _gone(self, gateway: int) -> None:
        eventually(lambda: state_of(gateway) in "XZ", "the gateway does not end", 120)

    def _swept(self) -> int:
        return sweep(self._runtime, self.engine) if self._runtime.exists() else 0

    def _instances(self) -> list[str]:
        return [path.name for path in self._runtime.iterdir()] if self._runtime.exists() else []

    @property
    def _path(self) -> Path:
        path: Path = self.wreck.settings.ledger
        return path

    @property
    def _runtime(self) -> Path:
        runtime: Path = self.wreck.settings.runtime
        return runtime


def _sessions(ledger: Ledger) -> int:
    return sum(1 for _ in ledger.events(kind=Kind.SESSION_OPENED))


@contextmanager
def place() -> Iterator[Path]:
    """A short path on a disk: sockets lie below it."""
    root = Path(tempfile.mkdtemp(prefix="soak", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root)


def season(engine: Engine, root: Path, dice: random.Random, sessions: int) -> Season:
    """One season, and what it left: nothing."""
    with served() as server:
        settings = Settings(root / "state", root / "config", root / "cache", root / "run")
        season = Season(engine, Wreck.below(root, settings, server), dice)
        season.run(sessions)
    return season


def soak(sessions: int, seed: int) -> Counter[str]:
    """Many seasons; counts of what happened.

    Raises:
        AssertionError: something was left behind, or the ledger says what was not.
    """
    counts: Counter[str] = Counter()
    dice = random.Random(seed)
    engine = Engine()
    try:
        while counts["sessions"] < sessions:
            wanted = min(PER_SEASON, sessions - counts["sessions"])
            with place() as root:
                before = everything(engine, root)
                done = season(engine, root, dice, wanted)
                counts["sessions"] += done.sessions()
                left = everything(engine, root) - before
                assert not left, sorted(left)
            eventually(lambda: not abandoned_cgroups(engine), "control groups stay")
            counts.update(done.endings)
            counts["gateways"] += done.endings.total()
            counts["calls whose end nobody saw"] += done.unknown
            slowest = max(counts["seconds until all was gone, at most"], round(done.slowest))
            counts["seconds until all was gone, at most"] = slowest
            print(dict(counts), file=sys.stderr, flush=True)
    finally:
        engine.close()
    return counts


def main() -> None:
    """Soak, and say what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images.ensure("base", print)
    images.ensure("code", print)
    started = time.monotonic()
    counts = soak(options.sessions, options.seed)
    for name, count in counts.items():
        print(f"{count:6} {name}")
    print(f"nothing is left; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
