"""Many sessions at once: what each of them notices of the others."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trilemma import Agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.session import LocalSession
from trilemma.inference.messages import ToolCall

from .measure import Finding, Ratio, Sample, Target, timed_async
from .stage import FILES, Stage, gateway

TITLE = "32 sessions at once"
METHOD = """
One gateway at full durability, 32 sessions in domains of their own, each with its own folder of 20
files and its own sandbox; each lists its folder with `list_files`, as in the benchmark of a warm
call. *Alone* is one of them while the others are idle, before and after.

*At a model's pace* each session pauses 0.5 s after a call, which is less than any model takes to
answer; the sessions start spread over that time. *Without a pause* all 32 call as fast as they
can, so that 32 calls are always under way on however few cores there are, and most of a call's
time is spent waiting for its turn. A machine with `c` cores can do no better than `32 / c` times
the time of one call alone, so the time *per core* is divided by that: 1 means that the crowd
itself costs nothing.
"""
_SESSIONS = 32
_CALLS = 40
_ALONE = 300
_PAUSE = 0.5


def run(stage: Stage) -> Finding:
    """Measure."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Finding:
    calls = stage.times(_CALLS)
    async with gateway(stage.settings("full")) as running, _crowd(stage, running) as crowd:
        before = await timed_async(lambda: _call(crowd[0]), stage.times(_ALONE))
        paced = await _all(crowd, calls, pause=_PAUSE)
        started = time.perf_counter()
        hurried = await _all(crowd, calls, pause=0.0)
        seconds = time.perf_counter() - started
        after = await timed_async(lambda: _call(crowd[0]), stage.times(_ALONE))
    alone = Sample.of_seconds("alone", before + after)
    paced_sample = Sample.of_seconds("32 sessions at a model's pace", paced)
    hurried_sample = Sample.of_seconds("32 sessions without a pause", hurried)
    share = _SESSIONS / (os.cpu_count() or 1)
    per_core = [value / share for value in hurried]
    samples = (
        alone,
        paced_sample,
        hurried_sample,
        Sample.of_seconds("32 sessions without a pause, per core", per_core),
        Sample.of("calls a second, all sessions together", [len(hurried) / seconds], "1/s"),
    )
    return Finding(
        samples,
        (Ratio.between(paced_sample, alone),),
        (
            Target("p95 at a model's pace / p95 alone", paced_sample.p95 / alone.p95, 3),
            Target("p95 per core / p95 alone", samples[3].p95 / alone.p95, 3),
        ),
    )


@asynccontextmanager
async def _crowd(stage: Stage, running: LocalGateway) -> AsyncIterator[list[LocalSession]]:
    """Sessions with a warm sandbox each."""
    sessions: list[LocalSession] = []
    try:
        for _ in range(_SESSIONS):
            workspace = {"path": str(stage.workspace()), "origin": "own"}
            agent = Agent(
                model="gullible", grants=["files"], tools=["list_files"], workspace=workspace
            )
            sessions.append(await running.open(agent.spec, new_domain=True))
            await timed_async(lambda: _call(sessions[-1]), 3)
        yield sessions
    finally:
        await asyncio.gather(*(session.close("done") for session in sessions))


async def _all(crowd: list[LocalSession], calls: int, *, pause: float) -> list[float]:
    """What every call of every session took."""

    async def one(number: int, session: LocalSession) -> list[float]:
        await asyncio.sleep(pause * number / len(crowd))
        seconds = []
        for _ in range(calls):
            seconds += await timed_async(lambda: _call(session), 1)
            await asyncio.sleep(pause)
        return seconds

    found = await asyncio.gather(*(one(n, session) for n, session in enumerate(crowd)))
    return [seconds for of_one in found for seconds in of_one]


async def _call(session: LocalSession) -> None:
    outcome = await session.call_tool(ToolCall("1", "list_files", "{}"))
    assert outcome.ok, outcome.text
    assert outcome.text.count("note-") == FILES, outcome.text
