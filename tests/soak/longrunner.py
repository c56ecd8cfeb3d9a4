"""One process of the long run: begins it, or goes on with it, until it is done or killed.

Reads ``ROOT STEPS SIMULATED [sabotaged]``. Every step adds a line ``STEP SECONDS RSS_KB`` to
``steps.log``. The run's clock is simulated: each step takes ``SIMULATED`` seconds of it.
"""

import asyncio
import itertools
import resource
import sys
import time
from pathlib import Path
from typing import Any

from trilemma.client import Client
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.runs import loading
from trilemma.gateway.runs.log import RunLog
from trilemma.gateway.runs.places import Runs
from trilemma.gateway.settings import Settings
from trilemma.subagents.budget import Purse
from trilemma.subagents.events import Event, SessionOpened, StepFinished

ORDER = 'CALL run_code {"language": "shell", "code": "sh step.sh"}'
FALLBACKS = 40
"""Orders of the task that are obeyed where a result holds none: a call whose end nobody saw."""

SCRIPT = """
[ -e calls/LAST ] && echo finished && exit
n=${1:-$(($(ls calls | sort -n | tail -1) + 1))}
printf x >> calls/$n
sleep PAUSE
cat filler
echo 'CALL run_code {"language": "shell", "code": "sh step.sh '$((n + 1))'"}'
"""
"""Without a number it looks how far it is. What it prints is an order to make the next step."""


class Clock:
    """Simulated seconds since this process began."""

    def __init__(self, each: float) -> None:
        self.each = each
        self.steps = 0

    def __call__(self) -> float:
        """Now."""
        return self.steps * self.each


class Watch:
    """Writes down each step."""

    def __init__(self, log: Path, clock: Clock) -> None:
        self._log = log.open("a", buffering=1)
        self._clock = clock
        self._before = time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, SessionOpened):
            print("open", flush=True)
        if isinstance(event, StepFinished):
            now = time.perf_counter()
            print(event.step, round(now - self._before, 6), rss(), file=self._log)
            self._clock.steps += 1
            self._before = now


def rss() -> int:
    """KiB of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def spec(root: Path, steps: int) -> Any:
    """The agent."""
    return read_agent(
        {
            "name": "longrun",
            "model": "gullible",
            "grants": ["files", "code"],
            "tools": ["run_code"],
            "workspace": {"path": str(root / "folder"), "origin": "own", "mode": "direct"},
            "limits": {"steps": 2 * steps, "seconds": 100 * 3600.0, "context_tokens": 8192},
        },
        origin="longrun",
        base=root,
    )


def sabotage() -> None:
    """Forget how calls are named, and do not look what became of them."""
    loading._answer = lambda name, talk, ledger: talk.results.get(name)  # type: ignore[assignment]
    RunLog.name = lambda self, call: None  # type: ignore[method-assign]


async def main(root: Path, steps: int, simulated: float) -> None:
    """Work until the run is done."""
    clock = Clock(simulated)
    for made in (RunLog, Purse):
        vars(made)["__init__"].__kwdefaults__["clock"] = clock
    settings = Settings(
        root / "state",
        root / "config",
        root / "cache",
        (root / "run").readlink(),
        durability="full",
        warm=0,
    )
    gateway = LocalGateway.start(settings)
    client, watch = Client(gateway), Watch(root / "steps.log", clock)
    try:
        run = next((status.run for status in Runs.of(settings.state)), None)
        if run is None:
            task = "\n".join(itertools.repeat(ORDER, FALLBACKS))
            await client.run(spec(root, steps), task, on_event=watch)
        else:
            await client.resume(run, on_event=watch)
    finally:
        await client.close()


if __name__ == "__main__":
    if "sabotaged" in sys.argv:
        sabotage()
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
