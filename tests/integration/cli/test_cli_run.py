"""``trilemma run``: a whole run, seen from outside."""

import json
from pathlib import Path

import pytest

from .conftest import Cli, eventually

pytestmark = [pytest.mark.docker, pytest.mark.root]

TASK = """
CALL read_file {"path": "note.txt"}
CALL write_file {"path": "answer.txt", "text": "{{read_file}}"}
CALL http_fetch {"url": "http://attacker.example/"}
"""


def test_the_answer_comes_alone_on_standard_output(cli: Cli, agent: str, folder: Path) -> None:
    ended = cli("run", agent, 'CALL read_file {"path": "note.txt"}')
    assert ended.status == 0
    assert "the meeting is on Thursday" in ended.out
    assert "read_file" in ended.err
    assert "no changes to the workspace" in ended.err
    assert list((cli.home / "state/layers").iterdir()) == []


def test_changes_wait_in_a_layer_until_they_are_applied(cli: Cli, agent: str, folder: Path) -> None:
    ended = cli("run", agent, TASK)
    assert ended.status == 0
    assert "denied: the act takes a capability outside the pair" in ended.err
    assert not (folder / "answer.txt").exists()
    layer = ended.err.rsplit(" ", 1)[-1].strip()

    shown = cli("workspace", "diff", layer)
    assert "+the meeting is on Thursday" in shown.out
    command = next(x for x in shown.out.splitlines() if x.startswith("apply: trilemma "))
    refused = cli("workspace", "apply", layer)
    assert (refused.status, (folder / "answer.txt").exists()) == (2, False)
    applied = cli(*command.split()[2:])
    assert applied.status == 0
    assert (folder / "answer.txt").read_text() == "the meeting is on Thursday\n"
    assert cli("audit", "verify").status == 0


def test_json_lines_are_events_and_a_result(cli: Cli, agent: str) -> None:
    ended = cli("run", agent, "-", "--json", stdin=TASK)
    events = [json.loads(text) for text in ended.out.splitlines()]
    assert events[0]["event"] == "session_opened"
    assert events[0]["grants"] == ["files", "code"]
    assert [e["name"] for e in events if e["event"] == "tool_denied"] == ["http_fetch"]
    result = events[-1]
    assert (result["event"], result["ok"]) == ("result", True)
    assert result["layer"]["changes"] == 1
    assert ended.err == ""


def test_a_layer_can_be_continued(cli: Cli, agent: str, folder: Path) -> None:
    first = cli("run", agent, "--json", 'CALL write_file {"path": "one.txt", "text": "1"}')
    layer = json.loads(first.out.splitlines()[-1])["layer"]["layer"]
    second = cli("run", agent, "--layer", layer, 'CALL read_file {"path": "one.txt"}')
    assert second.status == 0
    assert "\n1\n" in f"\n{second.out}\n".replace("\n\n", "\n")
    assert cli("workspace", "discard", layer, "--yes").status == 0
    assert cli("workspace", "diff", layer).status == 1
    assert sorted(p.name for p in folder.iterdir()) == ["note.txt"]


def test_the_answer_survives_a_folder_that_is_gone(
    cli: Cli, agent: str, folder: Path, tmp_path: Path
) -> None:
    process = cli.start("run", agent, 'CALL run_code {"language": "shell", "code": "sleep 2"}')
    eventually(lambda: "workspace.opened" in cli("audit", "show").out)
    folder.rename(tmp_path / "moved")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "I made 1 call" in out
    assert "cannot be looked at" in err


def test_a_limit_ends_with_its_own_status(cli: Cli, agent: str) -> None:
    path = Path(agent)
    path.write_text(path.read_text() + "limits: {steps: 1}\n")
    ended = cli("run", agent, TASK)
    assert ended.status == 4
    assert "stopped by the limit on steps" in ended.err


def test_a_folder_that_nobody_declared_is_pointed_out_once(cli: Cli, agent: str) -> None:
    path = Path(agent)
    path.write_text(path.read_text().replace(", origin: own", ""))
    first, second = cli("run", agent, "hello"), cli("run", agent, "hello")
    assert "note: workspace" in first.err
    assert "origin: strangers" in first.err
    assert "note:" not in second.err


def test_a_refused_call_is_explained_from_the_ledger(cli: Cli, agent: str) -> None:
    ended = cli("run", agent, "--json", TASK)
    denial = json.loads(ended.out.splitlines()[-1])["denials"][0]
    why = cli("why", denial["call"])
    assert why.status == 0
    for part in (
        "outside_grants",
        "policy:  sha256:",
        "held before: {files} since event",
        "Way on",
    ):
        assert part in why.out
    assert cli("why", "call_unknown").status == 1


def test_control_characters_never_reach_the_terminal(cli: Cli, agent: str) -> None:
    code = r"printf '\\033]0;owned\\007\\342\\200\\256x'"
    task = 'CALL run_code {"language": "shell", "code": "' + code + '"}'
    terminal = cli.terminal("run", agent, task)
    assert terminal.end() == 0
    assert "\\x1b]0;owned\\x07\\u202ex" in terminal.seen
    assert "\x1b]0;" not in terminal.seen
    assert "\u202e" not in terminal.seen
