"""Mediated agents: what crosses is a value of a declared type, and it is counted."""

import asyncio
import json
from typing import Any

import pytest
from tests.integration.teams.stage import Stage, call, one_of

from trilemma.errors import Denied, SpecError
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.delegation.attenuated import AttenuatedRoute
from trilemma.gateway.delegation.mediated import MediatedRoute
from trilemma.gateway.interface import ChildOutcome, Delegation
from trilemma.gateway.ledger.events import Kind
from trilemma.subagents.events import Finished, SessionOpened, SubagentEvent

pytestmark = [pytest.mark.docker, pytest.mark.root]

YES = call("answer", answer=True)


CODE = {"model": "gullible", "grants": ["code"], "tools": ["run_code"]}


def judge(*asks: str, **fields: Any) -> dict[str, Any]:
    """An agent of its own that may run code and answers with a bool."""
    return {
        "agent": "judge",
        "mode": "mediated",
        "spec": CODE,
        "asks": one_of(*asks),
        "answers": "bool",
    } | fields


async def ask(stage: Stage, task: Any, *agents: dict[str, Any], race: int = 0) -> ChildOutcome:
    data = {"model": "gullible", "grants": ["internet"], "agents": list(agents)}
    spec = read_agent(data, origin="test", base=stage.folder.parent)
    session = await stage.gateway.open(spec, new_domain=True)
    try:
        orders = [Delegation(str(agent["agent"]), task) for agent in agents]
        if race:
            return await session.race(orders, on_event=stage.events.append)
        return await session.delegate(orders[0], on_event=stage.events.append)
    finally:
        await session.close("done")


def asked(stage: Stage, task: Any, *agents: dict[str, Any], race: int = 0) -> ChildOutcome:
    return asyncio.run(ask(stage, task, *agents, race=race))


def crossed(stage: Stage, session: str) -> list[dict[str, Any]]:
    """What crossed to or from a session, each crossing once."""
    ledger = stage.gateway.enforcement.ledger
    found = {
        e.event.call: dict(e.event.body)
        for e in ledger.events(kind=Kind.CROSSING_PASSED)
        if session in (e.event.body["from"], e.event.body["to"])
    }
    return list(found.values())


def test_a_value_goes_down_and_a_value_comes_up(stage: Stage) -> None:
    outcome = asked(stage, YES, judge(YES, "no"))
    assert (outcome.ok, outcome.value, outcome.text) == (True, True, "true")
    passed = crossed(stage, outcome.session)
    assert [(each["direction"], each["bits"]) for each in passed] == [("down", 2), ("up", 3)]


def test_a_person_who_watches_sees_what_no_model_is_told(stage: Stage) -> None:
    order = call("run_code", language="shell", code="echo loud")
    outcome = asked(stage, order, judge(order))
    assert (outcome.stop, outcome.text) == ("no_answer", "judge gave no answer.")
    inside = [e for e in stage.events if isinstance(e, SubagentEvent)]
    assert {e.session for e in inside} == {outcome.session}
    ends = [e.event for e in inside if isinstance(e.event, Finished)]
    assert "loud" in ends[0].text


@pytest.mark.parametrize(
    "wrong",
    [{"answer": "yes"}, {"answer": 1}, {"answer": True, "more": 1}, {}],
    ids=["word", "number", "two", "none"],
)
def test_what_is_no_answer_is_said_to_the_sub_agent_alone(
    stage: Stage, wrong: dict[str, Any]
) -> None:
    order = f"CALL answer {json.dumps(wrong)}"
    outcome = asked(stage, order, judge(order))
    assert (outcome.ok, outcome.stop, outcome.value) == (False, "no_answer", None)
    assert outcome.text == "judge gave no answer."


def test_the_first_answer_ends_the_run(stage: Stage) -> None:
    order = f"{YES} AND {call('answer', answer=False)}"
    outcome = asked(stage, order, judge(order))
    assert outcome.value is True
    steps = [e.event for e in stage.events if isinstance(e, SubagentEvent)]
    assert sum(e.kind == "step_started" for e in steps) == 1


def test_of_a_limit_only_the_word_comes_up(stage: Stage) -> None:
    order = call("run_code", language="shell", code="true")
    outcome = asked(stage, order, judge(order, limits={"steps": 1}))
    assert (outcome.stop, outcome.text) == (
        "limit",
        "judge used up its limit before it had an answer.",
    )


def test_why_it_could_not_begin_stays_on_its_side(stage: Stage) -> None:
    secret = stage.folder / stage.canary
    spec = {"model": "gullible", "workspace": {"path": str(secret)}}
    outcome = asked(stage, YES, judge(YES, spec=spec))
    assert outcome.stop == "refused"
    assert stage.canary not in outcome.text


def test_a_task_that_is_none_of_the_type_is_refused(stage: Stage) -> None:
    with pytest.raises(SpecError, match="no"):
        asked(stage, "no", judge(YES))


def test_where_the_bits_are_used_up_nothing_begins(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.gateway._shared.crossings, "_limit", 4)
    before = len(list(stage.gateway.enforcement.ledger.events(kind=Kind.SESSION_OPENED)))
    with pytest.raises(Denied) as denied:
        asked(stage, YES, judge(YES, "no"))
    assert denied.value.reasons == ("crossing_capacity",)
    after = list(stage.gateway.enforcement.ledger.events(kind=Kind.SESSION_OPENED))
    assert len(after) == before + 1


def test_who_won_a_race_is_counted(stage: Stage) -> None:
    slow = judge(YES, agent="slow")
    outcome = asked(stage, YES, judge(YES), slow, race=2)
    assert outcome.value is True
    ledger = stage.gateway.enforcement.ledger
    races = [e for e in ledger.events(kind=Kind.CROSSING_PASSED) if e.event.what == "race"]
    assert [e.event.body["bits"] for e in races] == [1]


def test_who_was_refused_last_in_a_race_is_counted_too(stage: Stage) -> None:
    ledger, steps = stage.gateway.enforcement.ledger, {"steps": 10_000}
    before = ledger.head().seq
    wide = {"limits": steps, "spec": CODE | {"limits": steps}}
    with pytest.raises(Denied) as denied:
        asked(stage, YES, judge(YES, **wide), judge(YES, agent="b", **wide), race=2)
    assert denied.value.reasons == ("budget",)
    races = [e for e in ledger.events(kind=Kind.CROSSING_PASSED) if e.seq > before]
    assert [(e.event.what, e.event.body["bits"]) for e in races] == [("race", 1)]


def test_sabotage_where_failures_speak_their_words_come_up(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: Any = lambda self, child, error: AttenuatedRoute.failed(self, child, error)  # noqa: E731
    monkeypatch.setattr(MediatedRoute, "failed", failed)
    spec = {"model": "gullible", "workspace": {"path": str(broken.folder / broken.canary)}}
    assert broken.canary in asked(broken, YES, judge(YES, spec=spec)).text


def test_whoever_asks_for_another_pays_for_the_folder_as_well(stage: Stage) -> None:
    between = {"agent": "between", "agents": [judge(YES)]}
    stage.run(
        call("between", task=call("judge", task=YES)),
        grants=["files"],
        workspace=stage.own(),
        agents=[between],
    )
    ledger = stage.gateway.enforcement.ledger
    opened = next(ledger.events(kind=Kind.WORKSPACE_OPENED, domain=_domain(stage)))
    charged = {e.event.workspace for e in ledger.events(kind=Kind.CROSSING_PASSED)}
    assert opened.event.workspace in charged


def test_a_mediated_agent_is_told_no_context(stage: Stage) -> None:
    with pytest.raises(SpecError, match="no context"):
        asyncio.run(_with_context(stage))


async def _with_context(stage: Stage) -> None:
    spec = {"model": "gullible", "agents": [judge(YES)]}
    agent = read_agent(spec, origin="test", base=stage.folder.parent)
    session = await stage.gateway.open(agent, new_domain=True)
    try:
        await session.delegate(Delegation("judge", YES, context="more"))
    finally:
        await session.close("done")


def _domain(stage: Stage) -> str:
    """Of the run that was shown first."""
    return next(e.domain for e in stage.events if isinstance(e, SessionOpened))
