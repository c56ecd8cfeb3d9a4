"""A team of searchers beside one agent that does the same work, on a real source tree."""

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import environ
from pathlib import Path
from types import ModuleType
from unittest import mock

from trilemma import Agent, Result
from trilemma.client import Client
from trilemma.gateway.local import LocalGateway
from trilemma.inference.engines import Engine, InsideServer
from trilemma.inference.litellm import LiteLLMModel
from trilemma.inference.model import ModelRef

from .machine import ROOT
from .measure import Finding, Ratio, Sample, Target
from .modelserver import ModelServer, Read, model_server
from .speed import Assumed, Profile, Real
from .stage import Stage, gateway

TITLE = "Fast context: searchers side by side, and one agent"
_SPEED = Profile()
METHOD = f"""
`examples/fast-context` on the source of pydantic: eight names, three searches for each, and a check
by running code. *Team* gives each name to a searcher of its own, attenuated to {{files}}, all at
once; *alone* is one agent that makes the same calls one after another. Everything but the model is
real: gateway, ledger, sandboxes, LiteLLM, HTTP. The model plans like `gullible`, which writes only
what a call needs and no thoughts, so both sides are shorter than with a real one. **Its speed is an
assumption**: {_SPEED.prefill * 1e3:.4f} ms for a token of a prompt that is not cached, one prompt
at a time, {_SPEED.decode * 1e3:g} ms for a token of an answer, all answers side by side. That is
what the planner aiconfigurator 0.12 says of Qwen3-32B on two times four H200 (first token of a
prompt of 8000, 6000 of them cached, after 153 ms; 12 ms for each further one). Tokens are those of
cl100k_base. *Cached* is what a radix cache with one salt for each domain really had when a request
came; each run has a domain of its own, so nothing is left from the one before. With
`FASTCONTEXT_ENGINE=URL,MODEL` a real engine reads each prompt and writes as many tokens instead:
times and shares are its own then.
"""
_ROUNDS = 5
_EXAMPLE = ROOT / "examples" / "fast-context"
_AT_ONCE = Assumed(Profile(0, 0))
_REF = ModelRef("cluster/gullible", "cluster", inside=True, caches=True)


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    reads: Sequence[Read]

    @property
    def sent(self) -> int:
        return sum(read.prompt for read in self.reads)

    def cached(self, *, siblings: bool = False, first: bool = False) -> float:
        """The share of tokens that were cached, of all reads or of some."""
        some = [r for r in self.reads if (r.sibling or not siblings) and (r.first or not first)]
        return sum(read.cached for read in some) / sum(read.prompt for read in some)


_Way = Callable[..., Awaitable[Result]]
_Ways = Mapping[str, _Way]
_Runs = dict[str, list[_Run]]


def run(stage: Stage) -> Finding:
    """Measure."""
    ask = _example()
    agent = _agent(stage, ask)
    ways: _Ways = {"team": partial(ask.together, agent), "alone": partial(ask.alone, agent)}
    with model_server(_AT_ONCE) as server, _inside(server):
        return asyncio.run(_all(stage, ways, ask.NAMES, server))


async def _all(stage: Stage, ways: _Ways, names: Sequence[str], server: ModelServer) -> Finding:
    async with gateway(stage.settings()) as started:

        async def rounds(n: int) -> _Runs:
            return await _rounds(started, server, ways, names, n)

        # What is loaded once has been loaded by then.
        await rounds(1)
        without = await rounds(stage.times(_ROUNDS))
        server.engine = _engine()
        return _finding(await rounds(stage.times(_ROUNDS)), without)


async def _rounds(
    started: LocalGateway, server: ModelServer, ways: _Ways, names: Sequence[str], n: int
) -> _Runs:
    found: _Runs = {name: [] for name in ways}
    for _ in range(n):
        for name, way in ways.items():
            found[name].append(await _one(started, server, way, names))
    return found


async def _one(started: LocalGateway, server: ModelServer, way: _Way, names: Sequence[str]) -> _Run:
    await started.rest()
    before, begun = len(server.reads), time.perf_counter()
    result = await way(names, client=Client(started), new_domain=True)
    seconds = time.perf_counter() - begun
    # The check has found every name where it really stands.
    assert all(f": {name}\n" in result.text for name in names), result.text
    return _Run(seconds, server.reads[before:])


def _finding(runs: _Runs, without: _Runs) -> Finding:
    answers = {name: _seconds(f"time to answer, {name}", runs[name]) for name in runs}
    no_model = [_seconds(f"{name}, a model that takes no time", without[name]) for name in runs]
    counts = [
        Sample.of(f"{what}, {name}", [value(run) for run in runs[name]], unit)
        for name in runs
        for what, value, unit in _COUNTS
    ]
    cached = [
        Sample.of(f"cached, {what}", [100 * share(run) for run in runs["team"]], "%")
        for what, share in _SIBLINGS
    ]
    target = Target("tokens of siblings that a prefix cache serves, %", cached[0].p50, 90, True)
    return Finding(
        (*answers.values(), *no_model, *counts, *cached),
        (Ratio.between(answers["alone"], answers["team"]),),
        (target,),
    )


def _seconds(name: str, runs: Sequence[_Run]) -> Sample:
    return Sample.of(name, [run.seconds for run in runs], "s")


_COUNTS: tuple[tuple[str, Callable[[_Run], float], str], ...] = (
    ("model calls", lambda run: len(run.reads), ""),
    ("tokens sent", lambda run: run.sent, ""),
    ("of them not cached", lambda run: run.sent * (1 - run.cached()), ""),
    ("cached", lambda run: 100 * run.cached(), "%"),
)
_SIBLINGS: tuple[tuple[str, Callable[[_Run], float]], ...] = (
    ("calls of searchers", lambda run: run.cached(siblings=True)),
    ("first call of each searcher", lambda run: run.cached(siblings=True, first=True)),
)


def _engine() -> Assumed | Real:
    where = environ.get("FASTCONTEXT_ENGINE")
    return Real(*where.rsplit(",", 1)) if where else Assumed(_SPEED)


@contextmanager
def _inside(server: ModelServer) -> Iterator[None]:
    """The model of that name is the one of this server, within the boundary."""
    model = LiteLLMModel(_REF, InsideServer(Engine.SGLANG, server.url))
    with mock.patch("trilemma.gateway.local.resolve_model", return_value=model):
        yield


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fast_context", _EXAMPLE / "ask.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _agent(stage: Stage, ask: ModuleType) -> Agent:
    base: Path = stage.folder()
    base.chmod(0o755)
    ask.copy_source(ask.PACKAGE, base / "source")
    agent = Agent.from_file(_EXAMPLE / "agent.yaml")
    agent.spec = agent.spec.model_copy(update={"model": _REF.name, "base": base})
    return agent
