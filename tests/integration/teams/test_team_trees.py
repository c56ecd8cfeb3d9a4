"""Rows 6, 7, 8, 11 and 12 of the threats: what a tree of agents may gather, and what it may not."""

from dataclasses import replace
from typing import Any

import pytest
from tests.integration.teams.stage import Stage, call

from trilemma.gateway.delegation import opening
from trilemma.gateway.delegation.standing import Standing
from trilemma.gateway.enforcement import new_id
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.workspaces.shared import SharedWorkspace
from trilemma.result import Result
from trilemma.subagents.tree import Tree

pytestmark = [pytest.mark.docker, pytest.mark.root]


def a_domain_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sub-agent begins with nothing held, as a new session would that forgets."""
    attenuated = LocalGateway.attenuated

    def fresh(gateway: LocalGateway, parent: Standing, *rest: Any) -> Any:
        actor = replace(parent.actor, domain=new_id("dom"))
        return attenuated(gateway, replace(parent, actor=actor), *rest)

    monkeypatch.setattr(LocalGateway, "attenuated", fresh)


def three_in_a_line(stage: Stage, **child: Any) -> Result:
    """An agent that holds {files, code} hands what it read to a new one, which goes outside."""
    return stage.run(
        call("read_file", path="a.txt"),
        call("run_code", language="shell", code="true"),
        call("fresh", task=stage.leak("{{read_file|url}}")),
        tools=["read_file", "run_code", "http_fetch"],
        workspace=stage.own(),
        hosts=stage.hosts,
        agents=[{"agent": "fresh", "tools": ["http_fetch"]} | child],
    )


def test_row_6_a_new_agent_does_not_begin_with_nothing_held(stage: Stage) -> None:
    three_in_a_line(stage)
    assert not stage.leaked


def test_row_6_sabotage_with_a_domain_of_its_own_it_sends_the_file(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_domain_each(monkeypatch)
    three_in_a_line(broken)
    assert broken.leaked


def test_row_11_handing_over_is_decided_like_every_call(stage: Stage) -> None:
    three_in_a_line(stage, handoff=True)
    assert not stage.leaked


def test_row_11_sabotage_where_whoever_takes_over_is_judged_alone_the_file_leaves(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_domain_each(monkeypatch)
    result = three_in_a_line(broken, handoff=True)
    assert broken.leaked
    assert "http_fetch x1" in result.text


MARK = call("run_code", language="shell", code="echo ran > ran.txt")


def no_tools(stage: Stage) -> Result:
    return stage.run(
        call("bare", task=MARK),
        grants=["files", "code"],
        tools=["run_code"],
        workspace=stage.own(),
        agents=[{"agent": "bare", "workspace": "write"}],
    )


def test_row_7_an_empty_list_of_tools_is_none_of_them(stage: Stage) -> None:
    assert not stage.wrote(no_tools(stage), "ran.txt")


def test_row_7_sabotage_where_it_means_all_the_code_runs(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_tools", lambda parent, child: dict(parent.tools))
    assert broken.wrote(no_tools(broken), "ran.txt")


def touch(name: str) -> str:
    return call("run_code", language="shell", code=f"touch {name}")


def many(stage: Stage) -> int:
    """Five sub-agents are asked for where three may be; how many did their work."""
    tasks = [call("worker", task=touch(f"w{number}")) for number in range(5)]
    result = stage.run(
        *tasks,
        grants=["files", "code"],
        tools=["run_code"],
        workspace=stage.own(),
        team={"total": 3},
        agents=[{"agent": "worker", "tools": ["run_code"], "workspace": "write"}],
    )
    return sum(stage.wrote(result, f"w{number}") for number in range(5))


def deep(stage: Stage) -> bool:
    """A sub-agent of a sub-agent is asked for where there may be none; whether it worked."""
    inner = {"agent": "inner", "tools": ["run_code"], "workspace": "write"}
    outer = inner | {"agent": "outer", "agents": [inner]}
    result = stage.run(
        call("outer", task=call("inner", task=touch("deep"))),
        grants=["files", "code"],
        tools=["run_code"],
        workspace=stage.own(),
        team={"depth": 1},
        agents=[outer],
    )
    return stage.wrote(result, "deep")


def test_row_8_a_tree_has_no_more_agents_than_it_may(stage: Stage) -> None:
    assert many(stage) == 3
    assert len(stage.denied("team_total")) == 2


def test_row_8_a_tree_is_no_deeper_than_it_may_be(stage: Stage) -> None:
    assert not deep(stage)
    assert len(stage.denied("team_depth")) == 1


def test_row_8_sabotage_where_nobody_counts_all_of_them_work(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tree, "_see_room", lambda *_: None)
    assert many(broken) == 5
    assert deep(broken)


def writes(stage: Stage) -> Result:
    """A sub-agent that may read the workspace writes, with a built-in tool and with code."""
    return stage.run(
        call("reader", task=f"{call('write_file', path='w.txt', text='w')} {touch('c.txt')}"),
        call("reader", task=call("write_file", path=f"/tmp/{stage.canary}", text="w")),
        grants=["files", "code"],
        tools=["read_file", "write_file", "run_code"],
        workspace=stage.own(),
        agents=[{"agent": "reader", "tools": ["write_file", "run_code"], "workspace": "read"}],
    )


def test_row_12_no_tool_of_a_sub_agent_runs_outside_its_sandbox(stage: Stage) -> None:
    result = writes(stage)
    assert not stage.wrote(result, "w.txt")
    assert not stage.wrote(result, "c.txt")
    assert not list(stage.folder.parent.parent.rglob(stage.canary))


def test_row_12_sabotage_where_the_view_is_not_read_only_the_tools_write(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SharedWorkspace.__init__

    def writable(self: SharedWorkspace, of: Any, *, read_only: bool) -> None:
        made(self, of, read_only=False)

    monkeypatch.setattr(SharedWorkspace, "__init__", writable)
    result = writes(broken)
    assert broken.wrote(result, "w.txt")
    assert broken.wrote(result, "c.txt")
