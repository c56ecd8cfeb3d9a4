"""A team from a file, at the terminal: it is shown as the tree that it is, also after a crash."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli, eventually

pytestmark = [pytest.mark.docker, pytest.mark.root]

TEAM = """
name: lead
model: gullible
grants: [files, code]
tools: [read_file, run_code]
workspace: {path: work, origin: own}
agents:
  - agent: searcher
    tools: [read_file, run_code]
    workspace: read
  - agent: judge
    mode: mediated
    spec: {model: gullible}
    asks: bool
    answers: bool
"""


@pytest.fixture
def team(tmp_path: Path, folder: Path) -> str:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM)
    return str(path)


def events(cli: Cli, *words: str) -> list[dict[str, Any]]:
    out = cli("audit", "show", "--json", *words).out
    return [json.loads(text) for text in out.splitlines()]


def order(agent: str, task: Any) -> str:
    return f"CALL {agent} {json.dumps({'task': task})}"


def test_a_team_is_shown_as_a_tree(cli: Cli, team: str) -> None:
    task = order("searcher", 'CALL read_file {"path": "note.txt"}') + order("judge", True)
    ran = cli("run", team, task)
    assert "done, 3 steps" in ran.err
    lead, searcher, judge = (e["session"] for e in events(cli) if e["kind"] == "session.opened")
    shown = cli("audit", "show", "--tree", lead, "--kind", "session.opened").out
    assert f"attenuated 1 below {lead}" in shown
    assert f"mediated 1 below {lead}" in shown
    assert {e["session"] for e in events(cli, "--tree", lead)} == {lead, searcher, judge}
    read = next(e["call"] for e in events(cli, "--session", searcher) if e["what"] == "read_file")
    why = cli("why", read).out
    assert f"called by searcher, {searcher} attenuated 1 below {lead}" in why
    assert why.rstrip().endswith(f"called by lead, {lead}")
    handed = next(e["call"] for e in events(cli, "--kind", "call") if e["what"] == "judge")
    assert f"handed to: judge (mediated), {judge}" in cli("why", handed).out


def test_after_a_crash_nobody_in_the_tree_counts_as_running(cli: Cli, team: str) -> None:
    slow = 'CALL run_code {"language": "shell", "code": "sleep 60"}'
    process = cli.start("run", team, order("searcher", slow))
    eventually(lambda: cli.home.exists() and "searcher" in cli("ps").out)
    eventually(lambda: any(e["what"] == "run_code" for e in events(cli, "--kind", "call")))
    rows = {row["agent"]: row for row in map(json.loads, cli("ps", "--json").out.splitlines())}
    assert rows["searcher"]["parent"] == rows["lead"]["session"] == rows["searcher"]["tree"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # The next command that opens a gateway settles what the dead one left.
    assert cli("run", team, "nothing").status == 0
    recorded = events(cli)
    ended = {e["session"] for e in recorded if e["kind"] == "session.closed"}
    assert ended == {e["session"] for e in recorded if e["kind"] == "session.opened"}
    unknown = [e["what"] for e in recorded if e["kind"] == "call.unknown"]
    assert sorted(unknown) == ["run_code", "searcher"]
    assert cli("audit", "verify").status == 0
