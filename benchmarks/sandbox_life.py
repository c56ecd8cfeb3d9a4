"""What a sandbox costs to make, to lease, to keep and to destroy."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise

from trilemma import Agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.machinery import image
from trilemma.gateway.settings import Settings
from trilemma.inference.messages import ToolCall
from trilemma.policy.capability import NONE
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.dockersandbox import DockerSandbox
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.pool import Pool
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

from .container import run_once
from .measure import Finding, Ratio, Sample, Target, timed
from .memory import of_container, of_shim
from .stage import Stage, gateway

TITLE = "The life of a sandbox"
METHOD = """
*Made and checked* is a new container, verified before its first call; *destroyed* is its end,
until the Engine knows it no more; *leased warm* takes one that the pool holds ready for a profile
without a workspace. The peer is `docker run` of a hardened container that does nothing. *Session*
opens an agent with a workspace of its own in a running gateway, makes its first call and closes
it, with a blank sandbox standing ready each time: what a whole short run waits for, at full
durability. Removing the container is not part of closing; it goes on beside it.
Memory is the proportional set size (PSS) of every process of a fresh sandbox, and of the
container runtime's shim beside it.
"""
_TIMES = 20
_STEPS = ("session opened", "its first call", "session closed")
_WHOLE = "session and first call"
_LOCKED = SandboxSpec(NONE, Exec.NEVER, Egress.NONE, None, "")


def run(stage: Stage) -> Finding:
    """Measure."""
    times: dict[str, list[float]] = {
        name: [] for name in ("made and checked", "destroyed", "leased warm", "docker run")
    }
    memory: list[float] = []
    shims: list[float] = []
    with _backend() as backend:
        spec = replace(_LOCKED, image=image("base"))
        for _ in range(stage.times(_TIMES)):
            _one(backend, spec, times, memory, shims)
            times["docker run"] += timed(run_once, 1)
        times["leased warm"] += _leases(backend, spec, stage.times(_TIMES))
    sessions = asyncio.run(_sessions(stage))
    times["docker run"] += sessions.pop("docker run")
    found = {n: Sample.of_seconds(n, seconds) for n, seconds in (times | sessions).items()}
    ratios = (
        Ratio.between(found["docker run"], found[_WHOLE]),
        Ratio.between(found["docker run"], found["made and checked"]),
    )
    return Finding(
        (
            *found.values(),
            Sample.of("memory of a sandbox", memory, "MiB"),
            Sample.of("memory of its shim", shims, "MiB"),
        ),
        ratios,
        (
            Target("session and first call, p50 in ms", found[_WHOLE].p50, 30),
            Target("docker run / session and first call", ratios[0].value, 8, at_least=True),
            Target("destroyed, p50 in ms", found["destroyed"].p50, 100),
        ),
    )


def _one(
    backend: DockerBackend,
    spec: SandboxSpec,
    times: dict[str, list[float]],
    memory: list[float],
    shims: list[float],
) -> None:
    made = []
    times["made and checked"] += timed(lambda: made.append(backend.create(spec)), 1)
    memory.append(of_container(made[0].id))
    shims.append(of_shim(made[0].id))
    times["destroyed"] += timed(made[0].close, 1)


class _Watched:
    """A backend that says when it has made a sandbox."""

    def __init__(self, backend: DockerBackend) -> None:
        self._backend = backend
        self.late = backend.late
        self.made = threading.Semaphore(0)

    def create(self, spec: SandboxSpec) -> DockerSandbox:
        """Make a sandbox."""
        sandbox = self._backend.create(spec)
        self.made.release()
        return sandbox

    def close(self) -> None:
        """Destroy everything."""
        self._backend.close()


def _leases(backend: DockerBackend, spec: SandboxSpec, n: int) -> list[float]:
    """Leases by one domain after another, each when a blank one stands ready."""
    watched = _Watched(backend)
    pool = Pool(watched, blanks=1)
    try:
        times = []
        pool.stock(spec)
        for number in range(n):
            domain = f"dom_{number}"
            watched.made.acquire()
            times += timed(partial(pool.lease, replace(spec, domain=domain)), 1)
            pool.release_domain(domain)
        return times
    finally:
        pool.close()


async def _sessions(stage: Stage) -> dict[str, list[float]]:
    """Whole short runs, each on a folder of its own as no two agents share one."""
    times: dict[str, list[float]] = {name: [] for name in (*_STEPS, _WHOLE, "docker run")}
    async with gateway(stage.settings()) as running:
        # The first one finds nothing ready.
        await _session(stage, running)
        for _ in range(stage.times(_TIMES)):
            times["docker run"] += timed(run_once, 1)
            await running.rest()
            steps = await _session(stage, running)
            for name, seconds in zip(_STEPS, steps, strict=True):
                times[name].append(seconds)
            times[_WHOLE].append(steps[0] + steps[1])
    return times


async def _session(stage: Stage, running: LocalGateway) -> list[float]:
    workspace = {"path": str(stage.workspace()), "origin": "own"}
    agent = Agent(model="gullible", grants=["files"], tools=["list_files"], workspace=workspace)
    marks = [time.perf_counter()]
    session = await running.open(agent.spec, new_domain=True)
    marks.append(time.perf_counter())
    outcome = await session.call_tool(ToolCall("1", "list_files", "{}"))
    marks.append(time.perf_counter())
    await session.close("done")
    marks.append(time.perf_counter())
    assert outcome.ok, outcome.text
    return [after - before for before, after in pairwise(marks)]


@contextmanager
def _backend() -> Iterator[DockerBackend]:
    runtime = RuntimeDir.create(Settings.from_environment().runtime)
    janitor = Janitor.start(runtime)
    backend = DockerBackend(runtime)
    try:
        yield backend
    finally:
        backend.close()
        janitor.close(clean=True)
