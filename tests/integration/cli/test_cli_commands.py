"""The commands that run no agent."""

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Cli


def test_help_is_quick_and_names_every_command(alone: Cli) -> None:
    ended = alone("--help")
    assert ended.status == 0
    for name in ("run", "ps", "stop", "why", "audit", "workspace", "image", "clean", "doctor"):
        assert f"\n  {name} " in ended.out


def test_commands_are_known_before_anything_heavy_is_loaded() -> None:
    code = "import sys, trilemma.cli.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"docker", "sqlalchemy", "pydantic", "litellm", "regorus"} & set(loaded)


def test_a_command_that_does_not_exist_is_a_usage_error(alone: Cli) -> None:
    ended = alone("bogus")
    assert ended.status == 2
    assert "No such command 'bogus'" in ended.err


@pytest.mark.parametrize("words", [("audit", "verify"), ("audit", "show"), ("why", "call_1")])
def test_looking_makes_no_ledger(alone: Cli, words: tuple[str, ...]) -> None:
    ended = alone(*words)
    assert ended.status == 1
    assert "nothing has run here yet" in ended.line
    assert not alone.home.exists()


def test_ps_without_a_ledger_shows_nothing(alone: Cli) -> None:
    assert alone("ps").out == "no session is running\n"


def test_declaring_a_folder_is_recorded(alone: Cli, folder: Path) -> None:
    ended = alone("workspace", "declare", str(folder), "--origin", "strangers")
    assert ended.status == 0
    (row,) = [json.loads(text) for text in alone("workspace", "ls", "--json").out.splitlines()]
    assert (row["path"], row["label"]) == (str(folder), ["internet"])
    shown = json.loads(alone("audit", "show", "--kind", "workspace", "--json").out)
    assert shown["body"]["declared"] is True
    assert shown["principal"]


def test_a_label_is_shown_added_to_and_lessened_by_a_person(alone: Cli, folder: Path) -> None:
    alone("workspace", "declare", str(folder), "--origin", "strangers")
    (folder / "mail.txt").write_text("hello")
    shown = alone("workspace", "label", str(folder), "--add", "code").out
    assert "label {internet, code}" in shown
    assert "+ {internet}  event 2" in shown
    asked = alone("workspace", "declassify", str(folder), "--remove", "internet")
    assert asked.status == 2
    assert f"sha256:{hashlib.sha256(b'hello').hexdigest()}  mail.txt" in asked.out
    confirm = ("workspace", "declassify", str(folder), "--remove", "internet", "--yes")
    seen = asked.line.split("--yes ")[1].strip()
    (folder / "mail.txt").write_text("other")
    assert "nothing was declassified" in alone(*confirm, seen).line
    (folder / "mail.txt").write_text("hello")
    assert alone(*confirm, seen).status == 0
    assert "label {code}" in alone("workspace", "label", str(folder)).out
    assert "not in it" in alone(*confirm, seen).line
    recorded = alone("audit", "show", "--kind", "workspace.declassified", "--json").out
    assert list(json.loads(recorded)["drops"].values()) == [["internet"]]
    assert "carries {internet} no more" in alone("audit", "show").out
    assert alone("audit", "verify").status == 0


def test_a_terminal_is_asked_before_a_label_loses_anything(alone: Cli, folder: Path) -> None:
    alone("workspace", "declare", str(folder), "--origin", "strangers")
    screen = alone.terminal("workspace", "declassify", str(folder), "--remove", "internet")
    screen.await_text("Do you answer for")
    screen.type("n\n")
    assert screen.end() != 0
    assert "label {internet}" in alone("workspace", "label", str(folder)).out


def test_a_changed_event_is_found_and_named(alone: Cli, folder: Path) -> None:
    alone("workspace", "declare", str(folder), "--origin", "own")
    assert alone("audit", "verify").status == 0
    with sqlite3.connect(alone.home / "state/ledger.db") as database:
        database.execute("UPDATE events SET what = 'nothing' WHERE seq = 2")
    database.close()
    ended = alone("audit", "verify")
    assert ended.status == 1
    assert "event 2:" in ended.line


def test_a_ledger_that_was_never_begun_is_no_changed_one(alone: Cli) -> None:
    ledger = alone.home / "state/ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.touch()
    ended = alone("audit", "verify")
    assert ended.status == 0
    assert "holds no event: its gateway ended before the first one" in ended.out


@pytest.mark.parametrize("how", ["emptied", "removed"])
@pytest.mark.parametrize("trace", ["layer", "anchor"])
def test_a_ledger_of_which_something_is_left_did_not_begin_empty(
    alone: Cli, folder: Path, tmp_path: Path, how: str, trace: str
) -> None:
    kept = {"TRILEMMA_ANCHOR": str(tmp_path / "anchor")} if trace == "anchor" else {}
    alone("workspace", "declare", str(folder), "--origin", "own", **kept)
    ledger = alone.home / "state/ledger.db"
    if trace == "layer":
        (alone.home / "state/layers/one").mkdir(parents=True)
    ledger.unlink()
    if how == "emptied":
        ledger.touch()
    ended = alone("audit", "verify", **kept)
    assert ended.status == 1
    assert ("put it back" if trace == "anchor" else "made under one that did") in ended.line


def test_an_unknown_kind_of_event_is_a_usage_error(alone: Cli, folder: Path) -> None:
    ended = alone("audit", "show", "--kind", "call.deny")
    assert ended.status == 2
    assert "call.denied" in ended.line


def test_init_makes_an_agent_and_never_overwrites(alone: Cli, tmp_path: Path) -> None:
    assert alone("init", "new").status == 0
    before = (tmp_path / "new/agent.yaml").read_text()
    assert alone("init", "new", "--model", "openai/gpt-5", "--contract", "no").status == 1
    assert (tmp_path / "new/agent.yaml").read_text() == before


def test_init_writes_nothing_where_the_question_stays_open(alone: Cli, tmp_path: Path) -> None:
    ended = alone("init", "new", "--model", "openai/gpt-5")
    assert ended.status == 2
    assert "--contract" in ended.err
    assert not (tmp_path / "new").exists()
    assert not alone.home.exists()


def test_doctor_without_an_engine_says_so_and_fails(alone: Cli, tmp_path: Path) -> None:
    ended = alone("doctor", "--json", DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    assert ended.status == 1
    findings = {f["what"]: f for f in map(json.loads, ended.out.splitlines())}
    assert findings["engine"]["status"] == "missing"
    assert "docker.io" in findings["engine"]["text"]
    assert findings["state"]["text"] == str(alone.home / "state")


@pytest.mark.docker
@pytest.mark.root
def test_doctor_on_a_whole_machine_is_content(cli: Cli) -> None:
    ended = cli("doctor", "--json")
    findings = {f["what"]: f for f in map(json.loads, ended.out.splitlines())}
    assert ended.status == 0
    assert findings["workspaces"]["status"] == "ok"
    assert findings["base image"]["status"] == "ok"
    assert not cli.home.exists()


@pytest.mark.docker
@pytest.mark.root
def test_the_starter_agent_runs_as_it_stands(cli: Cli) -> None:
    made = cli("init", "new")
    task = made.out.split("agent.yaml '", 1)[1].rstrip("'\n")
    ended = cli("run", "new/agent.yaml", task)
    assert ended.status == 0
    assert "The meeting moved" in ended.out


@pytest.mark.docker
@pytest.mark.root
def test_an_interrupted_machine_is_cleaned_twice_without_harm(cli: Cli) -> None:
    assert cli("clean").status == 0
    assert cli("clean").status == 0


@pytest.mark.docker
def test_a_program_is_hashed_where_its_links_lead(cli: Cli) -> None:
    ended = cli("image", "hash", "/bin/sh")
    assert ended.status == 0
    assert len(ended.out.strip()) == 64
    assert "dash" in ended.err
    assert cli("image", "hash", "/bin/nothing").status == 1
    assert cli("image", "hash", "bin/sh").status == 2
