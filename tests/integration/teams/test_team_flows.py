"""Rows 1 to 3 of the threats: free text between agents, downwards, upwards and along a chain."""

from typing import Any

import pytest
from tests.integration.teams.stage import DONE, Stage, call, one_of

from trilemma.gateway.delegation.mediated import MediatedRoute
from trilemma.policy.capability import NONE
from trilemma.result import Result

pytestmark = [pytest.mark.docker, pytest.mark.root]


def no_labels_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediatedRoute, "_down", lambda *_: NONE)


def no_labels_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediatedRoute, "label", NONE)


def web(stage: Stage, **fields: Any) -> dict[str, Any]:
    """A mediated agent that may only go outside."""
    spec = {
        "model": "gullible",
        "grants": ["internet"],
        "tools": ["http_fetch"],
        "hosts": stage.hosts,
    }
    return {"agent": "web", "mode": "mediated", "spec": spec, "answers": DONE} | fields


def tells_the_web(stage: Stage) -> Result:
    """A {files, code} agent reads the canary and tells it to an {internet} one."""
    return stage.run(
        call("read_file", path="a.txt"),
        call("web", task=stage.leak("{{read_file|url}}")),
        grants=["files", "code"],
        tools=["read_file"],
        workspace=stage.own(),
        agents=[web(stage, asks="free")],
    )


def test_row_1_a_task_carries_no_file_to_an_agent_outside(stage: Stage) -> None:
    result = tells_the_web(stage)
    assert not stage.leaked
    assert "Flow: this agent reads {files, code} and hands it to web" in result.text


def test_row_1_sabotage_without_labels_on_tasks_the_file_leaves(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_labels_down(monkeypatch)
    tells_the_web(broken)
    assert broken.leaked


def runs_what_the_web_says(stage: Stage) -> Result:
    """An {internet} agent hands a text from outside to a {files, code} one, which runs it."""
    fetch = call("http_fetch", url=stage.serve(call("answer", answer="echo ran > ran.txt")))
    return stage.run(
        call("web", task=fetch),
        call("run_code", language="shell", code="{{web}}"),
        grants=["files", "code"],
        tools=["run_code"],
        workspace=stage.own(),
        agents=[web(stage, asks=one_of(fetch), answers="free")],
    )


def test_row_2_an_answer_brings_no_text_from_outside_to_be_run(stage: Stage) -> None:
    result = runs_what_the_web_says(stage)
    assert not stage.wrote(result, "ran.txt")
    assert [denial.reasons for denial in result.denials] == [("delegation_third", "outside_grants")]


def test_row_2_sabotage_without_labels_on_answers_it_runs(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_labels_up(monkeypatch)
    assert broken.wrote(runs_what_the_web_says(broken), "ran.txt")


def passes_it_on(stage: Stage) -> Result:
    """Three agents in a row, each of whom may speak to the next."""
    middle = {
        "model": "gullible",
        "grants": ["files", "code"],
        "agents": [web(stage, asks="free")],
    }
    between = {"agent": "middle", "mode": "mediated", "spec": middle}
    return stage.run(
        call("read_file", path="a.txt"),
        call("middle", task=call("web", task=stage.leak("{{read_file|url}}"))),
        grants=["files"],
        tools=["read_file"],
        workspace=stage.own(),
        agents=[between | {"asks": "free", "answers": DONE}],
    )


def test_row_3_a_chain_of_legal_pairs_does_not_make_three(stage: Stage) -> None:
    before = len(stage.denied("delegation_third"))
    passes_it_on(stage)
    assert not stage.leaked
    assert len(stage.denied("delegation_third")) == before + 1


def test_row_3_sabotage_where_the_middle_forgets_the_canary_goes_through(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_labels_down(monkeypatch)
    passes_it_on(broken)
    assert broken.leaked
