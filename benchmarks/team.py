"""Teams: deciding in a tree of 1,000 sessions, and what a sub-agent costs."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from trilemma import Agent, child
from trilemma.gateway.delegation.handing import Errand
from trilemma.gateway.enforcement import Entry, new_id, request
from trilemma.gateway.interface import Delegation
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.session import LocalSession
from trilemma.policy.capability import Capability
from trilemma.policy.request import AccessRequest, Act, ToolFacts

from .measure import Finding, Ratio, Sample, Target, timed
from .stage import Stage, gateway

TITLE = "Teams of agents"
METHOD = """
A gateway whose ledger lies on the disk, at durability `normal`, so that waiting for the disk
hides nothing. *A decision* is what stands before every call: a step is counted in the session's
purse and in all above it, the act is decided by policy and rule, and the outcome is in the ledger.
One session that is alone in its gateway, and sessions of a tree of 1,000 in another (a root, 27
sub-agents, and 36 below each of them, all open, in one domain), take turns.

*A sub-agent, without its sandbox* is attenuated and gets a share of its parent's tools and folder:
counted in the tree, its budget carved, decided, recorded, its session opened. *Handing on a task*
is all of it from the parent's call to the answer, with one step of the built-in model and the end
of the session.
"""
_CHILDREN = 27
_BELOW = 36
_DECISIONS = 3000
_SPAWNS = 400
_FACTS = ToolFacts("read_file", "sha256:" + "0" * 64, declared=True)
_NEEDS = frozenset({Capability.FILES})


def run(stage: Stage) -> Finding:
    """Measure."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Finding:
    times: dict[str, list[float]] = {"alone": [], "tree": []}
    async with _root(stage) as alone, _root(stage) as root:
        leaves = list(_grown(root, *_shape(stage)))
        in_turn = itertools.cycle(leaves)
        for _ in range(stage.times(_DECISIONS)):
            times["alone"] += timed(partial(_decide, alone), 1)
            times["tree"] += timed(partial(_decide, next(in_turn)), 1)
        spawned = list(_spawned(alone, stage.times(_SPAWNS)))
        handed = [await _handed_on(alone) for _ in range(stage.times(_SPAWNS))]
    one = Sample.of_seconds("a decision, one session", times["alone"])
    tree = Sample.of_seconds(f"a decision, tree of {len(leaves) + 1:,} sessions", times["tree"])
    spawn = Sample.of_seconds("a sub-agent, without its sandbox", spawned)
    samples = (one, tree, spawn, Sample.of_seconds("handing on a task", handed))
    return Finding(
        samples,
        (Ratio.between(tree, one),),
        (
            Target("decision in the tree / alone, p50", tree.p50 / one.p50, 1.2),
            Target("a sub-agent without its sandbox, p50 in ms", spawn.p50, 5),
        ),
    )


def _shape(stage: Stage) -> tuple[int, int]:
    """A smaller tree where less is asked for."""
    small = min(1.0, stage.scale) ** 0.5
    return max(2, round(_CHILDREN * small)), max(2, round(_BELOW * small))


@asynccontextmanager
async def _root(stage: Stage) -> AsyncIterator[LocalSession]:
    """One session of an agent that may call others, in a gateway of its own."""
    part: dict[str, Any] = {"tools": ["read_file"], "workspace": "read"}
    agent = Agent(
        model="gullible",
        grants=["files", "code"],
        tools=["read_file", "write_file", "run_code"],
        workspace={"path": str(stage.workspace()), "origin": "own"},
        limits={"steps": 100_000},
        team={"width": 1024, "total": 100_000},
        agents=[child("first", agents=[child("second", **part)], **part)],
    )
    async with gateway(stage.settings("normal")) as running:
        session = await running.open(agent.spec)
        try:
            yield session
        finally:
            await session.close("done")


def _grown(root: LocalSession, children: int, below: int) -> Iterator[LocalSession]:
    """Everybody below the root, all of them open."""
    for _ in range(children):
        first = _spawn(root, "first").child
        assert first is not None
        yield first
        for _ in range(below):
            second = _spawn(first, "second").child
            assert second is not None
            yield second


def _spawn(parent: LocalSession, agent: str) -> Errand:
    hands = parent._delegations
    errand = Errand(hands._route(Delegation(agent, "go")), new_id("call"))
    hands._handing.begin(errand, lambda event: None)
    return errand


def _spawned(parent: LocalSession, n: int) -> Iterator[float]:
    for _ in range(n):
        started = time.perf_counter()
        errand = _spawn(parent, "first")
        yield time.perf_counter() - started
        errand.running.end("done")


async def _handed_on(parent: LocalSession) -> float:
    started = time.perf_counter()
    outcome = await parent.delegate(Delegation("first", "go"))
    assert outcome.ok, outcome.text
    return time.perf_counter() - started


def _decide(session: LocalSession) -> None:
    """What stands before a call of ``read_file``."""

    def build(held: Held) -> AccessRequest:
        return request(session.actor, held, Act.TOOL, _NEEDS, tool=_FACTS)

    session.purse.begin_step()
    entry = Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, "read_file", new_id("call"))
    reservation = session._enforcement.reserve(session.actor, entry, build)
    assert reservation.decision.allowed
