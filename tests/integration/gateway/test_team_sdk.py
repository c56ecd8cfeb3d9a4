"""A team through the public face: every pattern on the real path, with results that keep labels."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma import Agent, Client, Denied, Result, SpecError, child, mediated
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.policy.capability import Capability
from trilemma.subagents.events import Event, SubagentEvent, ToolCalled

pytestmark = pytest.mark.docker

FILES = frozenset({Capability.FILES})


@pytest.fixture
def gateway(settings: Settings) -> Iterator[LocalGateway]:
    gateway = LocalGateway.start(settings)
    yield gateway
    gateway.end()


@pytest.fixture
def client(gateway: LocalGateway) -> Client:
    return Client(gateway)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.md").write_text(f"note {number}\n")
    return folder


def lead(folder: Path, *more: Any, **fields: Any) -> Agent:
    reader = child("reader", "Reads notes.", tools=["read_file"], workspace="read")
    usual: dict[str, Any] = {
        "model": "gullible",
        "name": "lead",
        "grants": ["files", "code"],
        "tools": ["read_file", "write_file", "run_code"],
        "workspace": {"path": str(folder), "origin": "own"},
        "limits": {"steps": 200},
    }
    return Agent(**(usual | fields), agents=[reader, *more])


def read(number: int) -> str:
    return f'CALL read_file {{"path": "{number}.md"}}'


def test_map_gives_results_in_the_order_of_the_tasks(client: Client, notes: Path) -> None:
    async def main() -> list[Result]:
        async with lead(notes).open(client=client) as team:
            return await team.map("reader", [read(n) for n in range(6)], at_once=3)

    results = asyncio.run(main())
    assert [f"note {n}" in result.text for n, result in enumerate(results)] == [True] * 6
    for result in results:
        assert (result.ok, result.agent, result.steps) == (True, "reader", 2)
        assert result.labels >= FILES
        assert "note" not in f"{result}", "pasted, it is a placeholder with labels"


def test_all_patterns_work_without_an_event_loop(client: Client, notes: Path) -> None:
    events: list[Event] = []
    with lead(notes, child("talker")).team(client=client, on_event=events.append) as team:
        assert "note 1" in team.spawn("reader", read(1)).text
        best = team.best_of("reader", read(2), 3, lambda results: len(results) - 1)
        assert "note 2" in best.text
        first = team.race([("reader", read(3)), ("reader", read(3))])
        assert "note 3" in first.text
        asked: list[Result] = []

        def check(result: Result) -> str | None:
            asked.append(result)
            return None if "note 5" in result.text else read(5)

        assert "note 5" in team.retry("reader", read(4), check).text
        assert "note 4" in asked[0].text
        assert "note 0" in team.run(read(0)).text
        declared = child("one-off", tools=["read_file"], workspace="read")
        assert "note 1" in team.spawn(declared, read(1)).text
    told = [event for event in events if isinstance(event, SubagentEvent)]
    assert {event.agent for event in told} == {"reader", "one-off"}


def test_it_works_where_a_loop_is_running_already(client: Client, notes: Path) -> None:
    async def notebook_cell() -> str:
        with lead(notes).team(client=client) as team:
            return team.spawn("reader", read(1)).text

    assert "note 1" in asyncio.run(notebook_cell())


def test_the_agents_own_model_calls_its_sub_agent_as_a_tool(client: Client, notes: Path) -> None:
    reader = child("eyes", instructions=read(2), tools=["read_file"], workspace="read")
    result = lead(notes, reader).run('CALL eyes {"task": "go"}', client=client)
    assert "note 2" in result.text


def test_a_sub_agent_has_no_more_than_it_was_given(client: Client, notes: Path) -> None:
    with lead(notes).team(client=client) as team:
        team.spawn("reader", 'CALL write_file {"path": "x.md", "content": "canary"}')
        team.spawn("reader", 'CALL run_code {"language": "shell", "code": "echo canary > x.md"}')
        assert "canary" not in team.run('CALL read_file {"path": "x.md"}').text
        with pytest.raises(Denied, match="more than") as wider:
            team.spawn(child("greedy", tools=["http_fetch"]), "go")
    assert wider.value.reasons == ("delegation_wider",)


def test_a_mediated_answer_is_a_value(client: Client, notes: Path) -> None:
    desk = Agent(model="gullible", name="desk", grants=["internet"])
    asks = {"record": {"orders": "free"}}
    declared = mediated(desk, asks=asks, answers={"enum": ["yes", "no"]})
    folderless = Agent(model="gullible", name="lead", grants=["internet"], agents=[declared])
    with folderless.team(client=client) as team:
        answered = team.spawn("desk", {"orders": 'CALL answer {"answer": "yes"}'})
        silent = team.spawn("desk", {"orders": "say nothing"})
        with pytest.raises(SpecError, match="orders"):
            team.spawn("desk", {"question": 1})
        with pytest.raises(SpecError, match="is mediated"):
            team.retry("desk", "x", lambda result: None)
    assert (answered.ok, answered.value) == (True, "yes")
    assert (silent.ok, silent.stop, silent.value) == (False, "no_answer", None)


def test_the_budget_of_the_tree_holds_whoever_spends_it(client: Client, notes: Path) -> None:
    with lead(notes, limits={"steps": 5}).team(client=client) as team:
        results = team.map("reader", [read(n) for n in range(6)], at_once=1)
        assert team.run("go").stop == "steps"
        state = team.session.state()
    assert [result.stop for result in results] == ["done", "done"] + ["steps"] * 4
    assert state.spent.steps == 5


def test_collected_errors_stand_in_their_places(client: Client, notes: Path) -> None:
    with lead(notes, team={"total": 2}).team(client=client) as team:
        outcomes = team.map("reader", [read(n) for n in range(3)], at_once=1, collect=True)
        with pytest.raises(Denied, match="2 sub-agents"):
            team.map("reader", [read(0)])
    assert isinstance(outcomes[0], Result)
    assert isinstance(outcomes[2], Denied)


def test_nobody_is_left_when_a_team_is_left_early(
    client: Client, gateway: LocalGateway, notes: Path
) -> None:
    async def main() -> None:
        sleepy, called = child("sleepy", tools=["run_code"], workspace="read"), asyncio.Event()

        def watch(event: Event) -> None:
            if isinstance(event, SubagentEvent) and isinstance(event.event, ToolCalled):
                called.set()

        async with lead(notes, sleepy).open(client=client, on_event=watch) as team:
            sleep = 'CALL run_code {"language": "shell", "code": "sleep 300"}'
            task = asyncio.create_task(team.spawn("sleepy", sleep))
            await called.wait()
        assert (await task).stop == "stopped"

    asyncio.run(main())
    assert not list(gateway.enforcement.ledger.open_sessions())


def test_a_sub_agent_that_nobody_declared_is_named(client: Client, notes: Path) -> None:
    with (
        lead(notes).team(client=client) as team,
        pytest.raises(SpecError, match=r"'lead' has no sub-agent 'writer'; it has: reader"),
    ):
        team.spawn("writer", "go")


def test_a_judge_may_be_a_sub_agent(client: Client, notes: Path) -> None:
    async def main() -> Result:
        async with lead(notes, child("judge")).open(client=client) as team:
            return await team.best_of("reader", read(1), 2, "judge")

    with pytest.raises(SpecError, match="the judge 'judge' did not answer with one number"):
        asyncio.run(main())
