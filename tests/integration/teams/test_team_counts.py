"""Rows 9 and 71 of the threats: counts of what a mediated agent did, in what others are refused."""

import pytest
from tests.integration.teams.stage import DONE, Stage, call, one_of

from trilemma.gateway.delegation import desk
from trilemma.gateway.ledger.events import Kind
from trilemma.policy import explain
from trilemma.policy.request import Cause
from trilemma.subagents.budget import Purse

pytestmark = [pytest.mark.docker, pytest.mark.root]

LOOK = call("read_file", path="a.txt")
LITTLE, MUCH = LOOK, " AND ".join([LOOK] * 3)
"""What the keeper does, as a secret would have it do: its caller must not tell the two apart."""
KEEPER = {"agent": "keeper", "mode": "mediated", "asks": one_of(LITTLE, MUCH), "answers": DONE}
TOKENS, STEPS = {"tokens": 100_000}, {"steps": 8}


def heard(
    stage: Stage,
    order: str,
    limits: dict[str, int],
    big: dict[str, int],
    own: dict[str, int] | None = None,
) -> list[str]:
    """A keeper works, with limits of its ``own``; how ``big`` is refused then arrives outside."""
    before = len(stage.origin.paths)
    spec = {"model": "gullible", "grants": ["files", "code"], "tools": ["read_file"]}
    keeper = KEEPER | {"spec": spec | {"workspace": stage.own()}, "limits": own}
    result = stage.run(
        call("keeper", task=order),
        call("big", task="go"),
        stage.leak("{{big|url}}"),
        grants=["internet"],
        tools=["http_fetch"],
        hosts=stage.hosts,
        limits=limits,
        agents=[keeper, {"agent": "big", "limits": big}],
    )
    assert result.ok
    return stage.origin.paths[before:]


def test_a_refused_budget_does_not_say_what_is_left(stage: Stage) -> None:
    little = heard(stage, LITTLE, TOKENS, TOKENS)
    assert any("budget" in path for path in little)
    assert little == heard(stage, MUCH, TOKENS, TOKENS)


def test_sabotage_where_it_says_so_the_tokens_are_counted_outside(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "_too_little", lambda agent, limit: str(limit))
    assert heard(broken, LITTLE, TOKENS, TOKENS) != heard(broken, MUCH, TOKENS, TOKENS)


def test_what_was_set_aside_for_it_does_not_come_back(stage: Stage) -> None:
    little = heard(stage, LITTLE, {"steps": 12}, STEPS, {"steps": 5})
    assert any("budget" in path for path in little)
    assert little == heard(stage, MUCH, {"steps": 12}, STEPS, {"steps": 5})


def test_sabotage_where_it_comes_back_the_steps_are_told_outside(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Purse, "seal", lambda purse: None)
    little = heard(broken, LITTLE, {"steps": 12}, STEPS, {"steps": 5})
    assert little != heard(broken, MUCH, {"steps": 12}, STEPS, {"steps": 5})


def counted(stage: Stage) -> bool:
    """Whether the number of the event, by which the outside was taken, arrives there."""
    stage.run(
        stage.leak("first"),
        call("read_file", path="a.txt"),
        stage.leak("{{read_file|url}}"),
        grants=["internet"],
        tools=["http_fetch", "read_file"],
        hosts=stage.hosts,
    )
    taken = stage.gateway.enforcement.ledger.events(kind=Kind.CALL_RESERVED)
    last = [each.seq for each in taken if each.event.takes][-1]
    told = [path for path in stage.origin.paths if "outside_grants" in path]
    assert told
    return f"{last}" in told[-1].split("since", 1)[1]


def test_a_refusal_does_not_say_how_much_others_did_before(stage: Stage) -> None:
    """Events are numbered across domains: the numbers tell how many calls a keeper made."""
    assert not counted(stage)


def test_sabotage_with_the_number_it_is_told_outside(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbered(cause: Cause) -> str:
        return f"- {cause.capability} since event number {cause.seq}: {cause.what}"

    monkeypatch.setattr(explain, "_event", numbered)
    assert counted(broken)
