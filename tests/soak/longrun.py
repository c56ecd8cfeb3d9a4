"""``python -m tests.soak.longrun``: a day of one run, and its gateway is killed again and again.

10,000 steps in 24 simulated hours: a real gateway, ledger and sandboxes, and SIGKILL at moments
drawn by lot. Each time it goes on where it was. Every call leaves one byte outside of it, in a file
of its own: two bytes would be a call that was made twice.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.soak.longrunner import SCRIPT

from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.runs.places import Runs
from trilemma.sandbox.mounts import mounted_below

DAY = 24 * 3600.0
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    steps: int
    kills: int
    state: str
    hours: float
    """That the run took by its own clock."""
    unknown: int
    """Calls that were under way when the gateway died: none was made again."""
    twice: int
    """Calls that were made twice."""
    p50_first_ms: float
    p50_last_ms: float
    rss_first_mb: float
    rss_last_mb: float
    """Medians of the first and the last tenth of the steps."""
    rss_most_mb: float
    resume_first_s: float
    resume_last_s: float
    """Medians of the time from the start of a process to its first step."""
    kept_kb: int
    """What was kept of the run at most, when it was killed."""
    ledger_mb: float
    seconds: float


class LongRun:
    """One run, and the processes that work on it one after the other."""

    def __init__(
        self,
        root: Path,
        steps: int,
        kills: int,
        seed: int,
        *,
        pause: float = 0,
        sabotaged: bool = False,
    ) -> None:
        """Each call goes on for ``pause`` seconds after it has had its effect."""
        self.root = root
        self._runtime = Path((root / "run").readlink())
        self.steps = steps
        self._dice = random.Random(seed)
        # Where the gateway dies: after so many steps, and a little.
        self._kills = sorted(self._dice.sample(range(1, steps), kills))
        self._words = [str(root), str(steps), str(DAY / steps)]
        self._words += ["sabotaged"] if sabotaged else []
        self._resumes: list[float] = []
        self._kept = 0
        self._prepare(pause)

    def work(self) -> Report:
        """From its beginning to its end."""
        began = time.monotonic()
        for after in [*self._kills, None]:
            self._live(after)
        return self._report(time.monotonic() - began)

    def _prepare(self, pause: float) -> None:
        folder = self.root / "folder"
        (folder / "calls").mkdir(parents=True)
        script = SCRIPT.replace("LAST", str(self.steps)).replace("PAUSE", str(pause))
        (folder / "step.sh").write_text(script)
        (folder / "filler").write_text("nothing to see here\n" * 20)

    def _live(self, kill_after: int | None) -> None:
        """One process: until it ends by itself, or until so many steps of the run are made."""
        began, before = time.monotonic(), self._made()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.longrunner", *self._words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self._await(lambda: self._made() > before, process)
            self._resumes.append(time.monotonic() - began)
            if kill_after is None:
                self._await(lambda: process.poll() is not None, process, 3600)
            else:
                self._await(lambda: self._made() >= kill_after, process, 3600)
                time.sleep(self._dice.uniform(0, 0.03))
        finally:
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
        if kill_after is None and process.returncode:
            raise AssertionError(errors)
        self._kept = max(self._kept, sum(p.stat().st_size for p in self._steps_files()))
        # Its janitor cleans up; whoever comes next may have to wait for that.
        self._await(lambda: not list(self._runtime.iterdir()), None)
        assert not list(mounted_below(self._runtime))

    def _await(
        self,
        condition: Callable[[], bool],
        process: "subprocess.Popen[str] | None",
        patience: float = PATIENCE,
    ) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            ended = process is not None and process.poll() is not None
            if time.monotonic() > deadline or (ended and not condition()):
                said = process.stderr.read() if process and process.stderr and ended else ""
                raise AssertionError(f"it does not go on after {self._made()} steps: {said}")
            time.sleep(0.02)

    def _made(self) -> int:
        calls = self.root / "folder" / "calls"
        return sum(1 for _ in os.scandir(calls))

    def _steps_files(self) -> list[Path]:
        return list((self.root / "state" / "runs").glob("*/*.steps"))

    def _report(self, seconds: float) -> Report:
        ledger_path = self.root / "state" / "ledger.db"
        verify(ledger_path)
        with Ledger.open(ledger_path) as ledger:
            unknown = sum(1 for _ in ledger.events(kind=Kind.CALL_UNKNOWN))
        (status,) = Runs.of(self.root / "state")
        sizes = [path.stat().st_size for path in (self.root / "folder" / "calls").iterdir()]
        lines = [line.split() for line in (self.root / "steps.log").read_text().splitlines()]
        whole = [line for line in lines if len(line) == 3]
        times, rss = [float(t) for _, t, _ in whole], [int(kb) / 1024 for *_, kb in whole]
        tenth = max(1, len(whole) // 10)
        resumes = self._resumes[1:] or self._resumes
        few = max(1, len(resumes) // 4)
        return Report(
            steps=len(sizes),
            kills=len(self._kills),
            state=status.state,
            hours=round(len(whole) * DAY / self.steps / 3600, 2),
            unknown=unknown,
            twice=sum(size > 1 for size in sizes),
            p50_first_ms=_median(times[:tenth], 1000),
            p50_last_ms=_median(times[-tenth:], 1000),
            rss_first_mb=_median(rss[:tenth]),
            rss_last_mb=_median(rss[-tenth:]),
            rss_most_mb=round(max(rss), 2),
            resume_first_s=_median(resumes[:few]),
            resume_last_s=_median(resumes[-few:]),
            kept_kb=self._kept // 1024,
            ledger_mb=round(ledger_path.stat().st_size / 2**20, 1),
            seconds=round(seconds, 1),
        )


def _median(values: list[float], scale: float = 1.0) -> float:
    return round(scale * statistics.median(values), 2)


@contextmanager
def place() -> Iterator[Path]:
    """A place of its own; ``run`` in it leads to a short path, for sockets."""
    root = Path(tempfile.mkdtemp(prefix="trilemma-longrun"))
    runtime = Path(tempfile.mkdtemp(prefix="tl", dir="/run"))
    (root / "run").symlink_to(runtime)
    try:
        yield root
    finally:
        shutil.rmtree(root)
        shutil.rmtree(runtime)


def main() -> None:
    """Run it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    with place() as root:
        report = LongRun(root, asked.steps, asked.kills, asked.seed).work()
    print(json.dumps({"seed": asked.seed, **asdict(report)}, indent=1))
    if report.twice or report.state != "done" or report.steps != asked.steps:
        sys.exit(1)


if __name__ == "__main__":
    main()
