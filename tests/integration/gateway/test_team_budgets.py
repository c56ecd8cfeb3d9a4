"""What a team may spend, on the real path: the limits of the agent at the top hold for all."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from trilemma.errors import Denied, LimitReached
from trilemma.gateway.interface import ChildOutcome, Delegation
from trilemma.inference.messages import Message
from trilemma.subagents.account import Account
from trilemma.subagents.budget import Purse

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]
BUDGET = 1000
FETCHERS = 8


def team(made: Any, server: Any, limits: dict[str, Any]) -> Any:
    """A lead with fetchers, its own and those of the agent between."""
    fetcher = {"agent": "fetcher", "tools": ["http_fetch"]}
    return made.open(
        "http_fetch",
        grants=["internet"],
        hosts=[server.rule()],
        limits=limits,
        agents=[fetcher, {"agent": "middle", "tools": ["http_fetch"], "agents": [fetcher]}],
    )


def hand_out(session: Any, orders: list[Delegation]) -> list[ChildOutcome | BaseException]:
    async def main() -> list[ChildOutcome | BaseException]:
        work = (session.session.delegate(order) for order in orders)
        done: list[ChildOutcome | BaseException] = []
        done += await asyncio.gather(*work, return_exceptions=True)
        return done

    return asyncio.run(main())


def fetching(server: Any) -> list[Delegation]:
    """Canaries of about 200 bytes each, half of them through a sub-agent's own sub-agent."""
    orders = []
    for number in range(FETCHERS):
        url = server.url(f"/{number}?canary={'x' * 150}")
        fetch = f'CALL http_fetch {{"url": "{url}"}}'
        if number % 2:
            orders.append(Delegation("fetcher", fetch))
        else:
            inner = fetch.replace('"', '\\"')
            orders.append(Delegation("middle", f'CALL fetcher {{"task": "{inner}"}}'))
    return orders


def test_bytes_out_are_those_of_the_whole_team(gate: Make, origin: Make) -> None:
    server = origin()
    session = team(gate(server.policy), server, {"bytes_out": BUDGET})
    outcomes = hand_out(session, fetching(server))
    state = session.session.state()
    assert 0 < len(server.paths) < FETCHERS
    assert sum(len(path) for path in server.paths) < state.spent.bytes_out <= BUDGET
    refused = [o for o in outcomes if isinstance(o, ChildOutcome) and "egress_budget" in o.text]
    assert refused, "and whoever was refused reads why"


def test_sabotage_charging_only_the_child_lets_all_of_it_leave(
    gate: Make, origin: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Account, "chain", lambda account: iter([account]))
    server = origin()
    session = team(gate(server.policy), server, {"bytes_out": BUDGET})
    hand_out(session, fetching(server))
    assert len(server.paths) == FETCHERS
    assert sum(len(path) for path in server.paths) > BUDGET


def test_steps_are_those_of_the_whole_team(gate: Make, origin: Make) -> None:
    server = origin()
    session = team(gate(), server, {"steps": 3})
    outcomes = hand_out(session, [Delegation("fetcher", "go")] * 5)
    assert sorted(o.stop for o in outcomes if isinstance(o, ChildOutcome)) == (
        ["done"] * 3 + ["steps"] * 2
    )
    with pytest.raises(LimitReached, match="limit of 3 steps is used up"):
        asyncio.run(session.session.call_model([Message("user", "go")], ()))


def test_sabotage_without_the_purse_the_team_goes_on(
    gate: Make, origin: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Purse, "begin_step", lambda purse: None)
    session = team(gate(), origin(), {"steps": 3})
    outcomes = hand_out(session, [Delegation("fetcher", "go")] * 5)
    assert [o.stop for o in outcomes if isinstance(o, ChildOutcome)] == ["done"] * 5


def test_what_is_not_left_cannot_be_handed_on(gate: Make, origin: Make) -> None:
    """A sub-agent whose limits are more than its parent has left is refused before it exists."""
    session = gate().open(
        grants=["internet"],
        limits={"steps": 10},
        agents=[
            {"agent": "big", "limits": {"steps": 11}},
            {"agent": "fits", "limits": {"steps": 9}},
        ],
    )
    (big,) = hand_out(session, [Delegation("big", "go")])
    assert isinstance(big, Denied)
    assert big.reasons == ("budget",)
    assert "of steps, less is left than big is to have set aside" in str(big)
    (fits,) = hand_out(session, [Delegation("fits", "go")])
    assert isinstance(fits, ChildOutcome)
    assert fits.ok
    assert session.session.state().remaining.steps == 9, "what it did not use is back"


def test_time_ends_the_team_in_the_middle_of_a_call(gate: Make) -> None:
    session = gate().open(
        "run_code",
        grants=["files", "code"],
        files=True,
        limits={"seconds": 4.0},
        agents=[{"agent": "sleeper", "tools": ["run_code"], "workspace": "read"}],
    )
    sleep = 'CALL run_code {"language": "shell", "code": "sleep 300"}'
    (outcome,) = hand_out(session, [Delegation("sleeper", sleep)])
    assert isinstance(outcome, ChildOutcome)
    assert outcome.stop == "seconds"
    assert not session.session._dispatch._running
