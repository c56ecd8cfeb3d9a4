"""Everything that can be wrong gives one clear line, a status, and leaves nothing behind."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Cli

RAN = 'CALL read_file {"path": "note.txt"}'


def test_an_unknown_field_is_named(alone: Cli, agent: str) -> None:
    path = Path(agent)
    path.write_text(path.read_text() + "intructions: hello\n")
    ended = alone("run", agent, RAN)
    assert ended.status == 2
    assert "did you mean 'instructions'?" in ended.line


def test_a_key_that_stands_twice_is_named_with_its_line(alone: Cli, agent: str) -> None:
    path = Path(agent)
    path.write_text(path.read_text() + "model: gullible\n")
    ended = alone("run", agent, RAN)
    assert ended.status == 2
    assert "agent.yaml:7:" in ended.line
    assert "'model'" in ended.line


def test_three_capabilities_are_refused(alone: Cli, agent: str) -> None:
    path = Path(agent)
    path.write_text(path.read_text().replace("[files, code]", "[files, internet, code]"))
    ended = alone("run", agent, RAN)
    assert ended.status == 2
    assert "pick two" in ended.line


def test_a_missing_agent_is_named(alone: Cli) -> None:
    ended = alone("run", "nothing.yaml", RAN)
    assert ended.status == 2
    assert "'nothing.yaml'" in ended.line


def test_programs_get_the_error_as_json(alone: Cli) -> None:
    ended = alone("run", "nothing.yaml", RAN, "--json")
    error = json.loads(ended.out)
    assert (error["event"], error["status"], ended.status) == ("error", 2, 2)
    assert "'nothing.yaml'" in error["error"]


def test_an_outside_model_without_a_contract_is_refused(alone: Cli, agent: str) -> None:
    pytest.importorskip("litellm")
    path = Path(agent)
    path.write_text(path.read_text().replace("gullible", "openai/gpt-5"))
    ended = alone("run", agent, RAN)
    assert ended.status == 3
    assert "under_contract: [openai]" in ended.err


def test_no_engine_says_what_to_install(alone: Cli, agent: str, tmp_path: Path) -> None:
    ended = alone("run", agent, RAN, DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    assert ended.status == 1
    assert "docker.io" in ended.line


def test_broken_rego_stops_every_run(alone: Cli, agent: str, tmp_path: Path) -> None:
    (tmp_path / "rego").mkdir()
    (tmp_path / "rego/rule.rego").write_text("package trilemma.organisation\n\ndeny contains {")
    (tmp_path / "policy.yaml").write_text("version: 1\nrego: rego\n")
    ended = alone("run", agent, RAN, "--policy", str(tmp_path / "policy.yaml"))
    assert ended.status in (1, 2)
    assert "rule.rego" in ended.err
    assert "Traceback" not in ended.err


def test_a_ledger_that_was_changed_is_not_used(alone: Cli, agent: str) -> None:
    ledger = alone.home / "state/ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"this is no ledger, whatever its name says" * 100)
    for words in (("run", agent, RAN), ("audit", "verify"), ("ps",)):
        ended = alone(*words)
        assert ended.status == 1
        assert "ledger" in ended.line


@pytest.mark.docker
@pytest.mark.root
def test_an_unknown_tool_is_named(cli: Cli, agent: str) -> None:
    path = Path(agent)
    path.write_text(path.read_text().replace("write_file", "wrte_file"))
    ended = cli("run", agent, RAN)
    assert ended.status == 2
    assert "'wrte_file'" in ended.line


@pytest.mark.docker
@pytest.mark.root
def test_a_missing_workspace_is_named(cli: Cli, agent: str, folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    ended = cli("run", agent, RAN)
    assert ended.status == 1
    assert str(folder) in ended.line


@pytest.mark.docker
@pytest.mark.root
def test_a_result_that_is_too_large_never_reaches_the_model(
    cli: Cli, agent: str, tmp_path: Path
) -> None:
    (tmp_path / "tools.py").write_text(
        "from trilemma import tool\n\n\n"
        "@tool(needs=set())\n"
        "def flood() -> str:\n"
        '    "Everything at once."\n'
        '    return "canary" * 10_000_000\n'
    )
    path = Path(agent)
    path.write_text(path.read_text().replace("[read_file,", "[{module: tools.py}, read_file,"))
    ended = cli("run", agent, "CALL flood {}")
    assert ended.status == 5
    assert "result_too_large" in ended.err
    assert "canarycanary" not in ended.out
    assert len(ended.out) < 10_000


@pytest.fixture
def tiny(alone: Cli) -> Iterator[Path]:
    """A home on a disk of one mebibyte."""
    alone.home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(alone.home)], check=True)
    yield alone.home
    subprocess.run(["umount", str(alone.home)], check=True)


@pytest.mark.docker
@pytest.mark.root
def test_a_full_disk_means_that_nothing_runs(cli: Cli, agent: str, tiny: Path) -> None:
    assert cli("run", agent, RAN).status == 0
    _fill(tiny)
    ended = cli("run", agent, RAN)
    assert ended.status == 1
    assert "full" in ended.line or "space" in ended.line
    (tiny / "filler").unlink()
    assert cli("audit", "verify").status == 0
    assert cli("run", agent, RAN).status == 0


def _fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
