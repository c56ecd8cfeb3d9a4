"""A sub-agent never outlives whoever called it, however that one ends."""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from tests.integration.teams.stage import Stage, call

from trilemma.errors import Cancelled, Denied
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.delegation.delegations import Delegations
from trilemma.gateway.interface import Delegation
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.teamspec import AttenuatedSpec
from trilemma.policy.capability import Capability

pytestmark = [pytest.mark.docker, pytest.mark.root]

SLOW = call("run_code", language="shell", code="sleep 60")
QUICK = call("run_code", language="shell", code="true")


def worker(**fields: Any) -> dict[str, Any]:
    return {"agent": "worker", "tools": ["run_code"], "workspace": "write"} | fields


async def opened(stage: Stage, **fields: Any) -> Any:
    data = {
        "model": "gullible",
        "grants": ["files", "code"],
        "tools": ["run_code", "read_file"],
        "workspace": stage.own(),
        "agents": [worker()],
    }
    spec = read_agent(data | fields, origin="test", base=stage.folder.parent)
    return await stage.gateway.open(spec, new_domain=True)


def events(stage: Stage, domain: str) -> list[Recorded]:
    return list(stage.gateway.enforcement.ledger.events(domain=domain))


async def under_way(stage: Stage, domain: str, calls: int = 1) -> None:
    """Wait until so many calls of the tool run."""
    while True:
        found = [e for e in events(stage, domain) if e.event.kind is Kind.CALL_RESERVED]
        if sum(e.event.what == "run_code" for e in found) >= calls:
            return
        await asyncio.sleep(0.01)


def ends_in_order(recorded: list[Recorded]) -> None:
    """Every sub-agent's session was closed before its parent's, and every call was settled."""
    closed = {e.event.session: e.seq for e in recorded if e.event.kind is Kind.SESSION_CLOSED}
    opened = [e for e in recorded if e.event.kind is Kind.SESSION_OPENED]
    for session in opened:
        parent = session.event.body["parent"]
        if parent in closed:
            assert closed[session.event.session] < closed[parent]
    reserved = {e.event.call for e in recorded if e.event.kind is Kind.CALL_RESERVED}
    settled = {Kind.CALL_COMMITTED, Kind.CALL_UNKNOWN}
    assert reserved == {e.event.call for e in recorded if e.event.kind in settled}
    assert {e.event.session for e in opened} <= closed.keys() | {opened[0].event.session}


End = Callable[[Stage, Any, "asyncio.Future[Any]"], Coroutine[Any, Any, None]]


async def cancelled(stage: Stage, session: Any, working: "asyncio.Future[Any]") -> None:
    working.cancel()
    await asyncio.wait([working])
    assert working.cancelled()


async def stopped(stage: Stage, session: Any, working: "asyncio.Future[Any]") -> None:
    assert stage.gateway.stop(session.id)
    with pytest.raises(Cancelled):
        await working


async def closed(stage: Stage, session: Any, working: "asyncio.Future[Any]") -> None:
    await session.close("done")
    outcome = await asyncio.gather(working, return_exceptions=True)
    assert not getattr(outcome[0], "ok", False)


async def closed_elsewhere(stage: Stage, session: Any, working: "asyncio.Future[Any]") -> None:
    ending = threading.Thread(target=session.end, args=("done",))
    ending.start()
    await asyncio.to_thread(ending.join)
    await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("end", [cancelled, stopped, closed, closed_elsewhere])
def test_a_sub_agent_ends_with_its_parent(stage: Stage, end: End) -> None:
    async def play() -> None:
        inner = worker(agent="inner")
        session = await opened(stage, agents=[worker(agents=[inner])])
        order = Delegation("worker", call("inner", task=SLOW))
        working = asyncio.ensure_future(session.delegate(order))
        await under_way(stage, session.domain)
        await end(stage, session, working)
        assert session.standing.position.node.children == ()
        await session.close("done")
        ends_in_order(events(stage, session.domain))

    asyncio.run(asyncio.wait_for(play(), 30))


def test_a_sub_agent_that_is_stopped_is_no_end_of_its_parent(stage: Stage) -> None:
    async def play() -> None:
        session = await opened(stage)
        working = asyncio.ensure_future(session.delegate(Delegation("worker", SLOW)))
        await under_way(stage, session.domain)
        child = next(
            e.event.session for e in events(stage, session.domain) if e.event.body.get("parent")
        )
        assert stage.gateway.stop(child)
        outcome = await working
        assert (outcome.ok, outcome.stop) == (False, "stopped")
        again = await session.delegate(Delegation("worker", QUICK))
        assert again.ok
        await session.close("done")
        ends_in_order(events(stage, session.domain))

    asyncio.run(asyncio.wait_for(play(), 30))


def test_nobody_is_called_by_a_session_that_has_ended(stage: Stage) -> None:
    async def play() -> None:
        session = await opened(stage)
        await session.close("done")
        with pytest.raises(Cancelled):
            await session.delegate(Delegation("worker", QUICK))

    asyncio.run(play())


def test_sixty_four_at_once_all_come_back(stage: Stage) -> None:
    async def play() -> None:
        limits = {"steps": 1000}
        session = await opened(stage, team={"width": 64}, limits=limits)
        order = Delegation("worker", call("run_code", language="shell", code="echo $$"))
        done = await asyncio.gather(*[session.delegate(order) for _ in range(64)])
        assert all(outcome.ok for outcome in done)
        with pytest.raises(Denied) as denied:
            await asyncio.gather(*[session.delegate(order) for _ in range(65)])
        assert denied.value.reasons == ("team_width",)
        await session.close("done")
        ends_in_order(events(stage, session.domain))

    asyncio.run(asyncio.wait_for(play(), 60))


def test_what_is_wider_is_refused_and_nothing_of_it_begins(stage: Stage) -> None:
    async def play() -> None:
        session = await opened(stage)
        wider = AttenuatedSpec(agent="w", grants=(Capability.INTERNET,), tools=("http_fetch",))
        with pytest.raises(Denied, match="not one of its parent's tools") as denied:
            await session.delegate(Delegation(wider, QUICK))
        assert "delegation_wider" in denied.value.reasons
        assert not [e for e in events(stage, session.domain) if e.event.body.get("parent")]
        await session.close("done")

    asyncio.run(play())


def test_a_budget_that_is_not_there_is_not_handed_on(stage: Stage) -> None:
    async def play() -> None:
        session = await opened(stage, agents=[worker(limits={"steps": 100})])
        with pytest.raises(Denied) as denied:
            await session.delegate(Delegation("worker", QUICK))
        assert denied.value.reasons == ("budget",)
        await session.close("done")

    asyncio.run(play())


def test_the_first_that_ends_well_wins_and_the_others_are_gone(stage: Stage) -> None:
    async def play() -> None:
        session = await opened(stage)
        orders = [Delegation("worker", SLOW), Delegation("worker", "nothing")]
        outcome = await session.race(orders)
        assert outcome.ok
        assert session.standing.position.node.children == ()
        await session.close("done")
        ends_in_order(events(stage, session.domain))

    asyncio.run(asyncio.wait_for(play(), 30))


def test_whoever_takes_over_answers_for_its_parent(stage: Stage) -> None:
    result = stage.run(
        call("worker", task=call("run_code", language="shell", code="echo mine")),
        call("read_file", path="a.txt"),
        grants=["files", "code"],
        tools=["run_code", "read_file"],
        workspace=stage.own(),
        agents=[worker(handoff=True)],
    )
    assert result.text.endswith("mine\n")
    assert stage.canary not in result.text
    assert result.steps == 1


def test_however_and_whenever_a_parent_ends_its_tree_has_ended(stage: Stage) -> None:
    dice = random.Random(4711)
    task = f"{call('inner', task='x')} AND {call('inner', task='y')}"

    async def play(end: End) -> None:
        tree = {"agent": "worker", "agents": [{"agent": "inner"}]}
        bare: dict[str, Any] = {"tools": [], "grants": None, "workspace": None}
        session = await opened(stage, **bare, agents=[tree])
        order = Delegation("worker", task)
        working = asyncio.gather(*[session.delegate(order) for _ in range(3)])
        # Any moment: before it is decided, while it is opened, at work, or at its end.
        await asyncio.sleep(dice.random() * 0.05)
        with suppress(Cancelled):
            await end(stage, session, working)
        await session.close("done")
        await asyncio.gather(working, return_exceptions=True)
        ends_in_order(events(stage, session.domain))

    for end in (stops, closed_elsewhere, cancels) * 4:
        asyncio.run(asyncio.wait_for(play(end), 30))


async def stops(stage: Stage, session: Any, working: "asyncio.Future[Any]") -> None:
    stage.gateway.stop(session.id)


async def cancels(stage: Stage, session: Any, working: "asyncio.Future[Any]") -> None:
    working.cancel()


def test_a_gateway_that_closes_ends_every_tree(
    passing: LocalGateway, make_stage: Callable[[LocalGateway], Stage]
) -> None:
    stage = make_stage(passing)

    async def play() -> None:
        session = await opened(stage, agents=[worker(agents=[worker(agent="inner")])])
        order = Delegation("worker", call("inner", task=SLOW))
        working = asyncio.ensure_future(session.delegate(order))
        await under_way(stage, session.domain)
        await passing.close()
        ended = await asyncio.gather(working, return_exceptions=True)
        assert not getattr(ended[0], "ok", False)
        with Ledger.open(passing.settings.ledger) as ledger:
            ends_in_order(list(ledger.events(domain=session.domain)))

    asyncio.run(asyncio.wait_for(play(), 30))


def test_sabotage_where_nobody_ends_them_a_sub_agent_outlives_its_parent(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Delegations, "close", lambda self: None)

    async def play() -> None:
        # Without a folder: its sandbox belongs to the domain, not to whoever opened the folder.
        alone: dict[str, Any] = {"grants": ["code"], "tools": ["run_code"], "workspace": None}
        session = await opened(broken, **alone, agents=[worker(workspace="none")])
        working = asyncio.ensure_future(session.delegate(Delegation("worker", SLOW)))
        await under_way(broken, session.domain)
        await asyncio.to_thread(session.end, "done")
        open_still = broken.gateway.enforcement.ledger.open_sessions()
        assert [e.event.what for e in open_still if e.event.domain == session.domain] == [
            "agent worker"
        ]
        working.cancel()
        await asyncio.wait([working])

    asyncio.run(asyncio.wait_for(play(), 30))
