"""Every kind of tool, from the model's wish to its effect in a real container."""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SpecError
from trilemma.gateway.ledger.events import Kind
from trilemma.policy.capability import NONE, parse

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

FILES = ("list_files", "read_file", "write_file", "edit_file", "search_files")


def test_the_files_tools_work_on_a_layer_and_the_folder_stays_as_it_is(
    gate: Make, folder: Path
) -> None:
    session = gate().open(*FILES, grants=["files"], files=True)
    assert "a.txt" in session.ok("list_files")
    assert session.ok("read_file", path="a.txt") == "canary-4711\nsecond line\n"
    assert "a.txt" in session.ok("search_files", pattern="second")
    session.ok("write_file", path="new.txt", text="made\n")
    session.ok("edit_file", path="a.txt", old="second", new="third")
    assert session.ok("read_file", path="a.txt") == "canary-4711\nthird line\n"
    assert (session.upper / "new.txt").read_text() == "made\n"
    assert not (folder / "new.txt").exists()
    assert (folder / "a.txt").read_text() == "canary-4711\nsecond line\n"


def test_code_runs_where_it_was_granted(gate: Make, folder: Path) -> None:
    session = gate().open("run_code", grants=["files", "code"], files=True)
    assert session.ok("run_code", language="python", code="print(6 * 7)").strip() == "42"
    session.ok("run_code", language="shell", code="tr a-z A-Z < a.txt > b.txt")
    assert (session.upper / "b.txt").read_text() == "CANARY-4711\nSECOND LINE\n"
    assert not (folder / "b.txt").exists()


def test_a_page_is_fetched_through_the_proxy(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    session = made.open("http_fetch", grants=["internet"], hosts=[server.rule()])
    assert "hello" in session.ok("http_fetch", url=server.url("/x"))
    assert server.paths == ["/x"]


def test_a_tool_file_is_imported_in_a_sandbox_only(gate: Make, folder: Path) -> None:
    marker = folder.parent / "imported"
    (folder.parent / "mine.py").write_text(MODULE.format(marker=marker))
    session = gate().open({"module": "mine.py"}, grants=["files"], files=True)
    assert [tool.name for tool in session.session.tools] == ["add", "count"]
    assert session.ok("count", path="a.txt") == "2"
    assert session.ok("add", a=1, b=2) == "3"
    assert not session.call("add", a=1, b="x").ok
    assert not marker.exists()


def test_an_undeclared_tool_is_refused_and_its_body_never_runs(gate: Make, folder: Path) -> None:
    (folder.parent / "mine.py").write_text(UNDECLARED)
    made = gate()
    session = made.open({"module": "mine.py"}, "list_files", files=True)
    outcome = session.call("wild", name="wild.txt")
    assert outcome.denied
    assert "undeclared_tool" in outcome.reasons
    assert not list(session.upper.iterdir())
    assert session.held == parse(["files"])


def test_sabotage_the_same_tool_with_a_declaration_does_run(gate: Make, folder: Path) -> None:
    (folder.parent / "mine.py").write_text(UNDECLARED.replace("@tool", "@tool(needs={'files'})"))
    session = gate().open({"module": "mine.py"}, files=True)
    session.ok("wild", name="wild.txt")
    assert (session.upper / "wild.txt").exists()


def test_a_tool_nobody_defined_is_refused_and_recorded(gate: Make) -> None:
    made = gate()
    session = made.open("list_files", "read_file", files=True)
    outcome = session.call("delete_everything", path="/")
    assert outcome.denied
    assert "list_files, read_file" in outcome.text
    assert [r.event.what for r in made.events(Kind.CALL_DENIED)] == ["delete_everything"]


def test_a_tool_that_does_not_fit_the_grants_is_not_offered_and_not_run(
    gate: Make, origin: Make
) -> None:
    server = origin()
    made = gate(server.policy)
    session = made.open(
        "read_file", "http_fetch", grants=["files"], files=True, hosts=[server.rule()]
    )
    assert [tool.name for tool in session.session.tools] == ["read_file"]
    outcome = session.call("http_fetch", url=server.url("/leak"))
    assert outcome.denied
    assert "outside_grants" in outcome.reasons
    assert server.paths == []


def test_sabotage_with_the_grant_the_same_call_arrives(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    session = made.open(
        "http_fetch", grants=["files", "internet"], files=True, hosts=[server.rule()]
    )
    session.ok("http_fetch", url=server.url("/leak"))
    assert server.paths == ["/leak"]


def test_a_command_runs_one_pinned_file_with_typed_arguments(
    gate: Make, folder: Path, code_image: str
) -> None:
    session = gate().open(_head(code_image), grants=["files"], files=True)
    assert session.ok("first_lines", path="a.txt", lines=1) == "canary-4711\n"
    for wrong in ({"path": "--version", "lines": 1}, {"path": "a.txt", "lines": "1; id"}):
        refused = session.call("first_lines", **wrong)
        assert not refused.ok
        assert "bad_arguments" in refused.text


def test_a_command_whose_hash_differs_does_not_run(gate: Make, code_image: str) -> None:
    command = _head(code_image) | {"sha256": "0" * 64}
    session = gate().open(command, grants=["files"], files=True)
    outcome = session.call("first_lines", path="a.txt", lines=1)
    assert not outcome.ok
    assert "canary-4711" not in outcome.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"grants": ["files", "internet", "code"]}, "pick two"),
        ({"tools": ["read_fil"]}, "unknown tool 'read_fil'"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_wrong_spec_is_refused_before_anything_runs(
    gate: Make, fields: dict[str, Any], message: str
) -> None:
    made = gate()
    with pytest.raises(SpecError, match=message):
        made.open(**({"grants": ["files"]} | fields))
    assert made.events(Kind.SESSION_OPENED) == []


def test_arguments_that_are_not_what_the_tool_takes_are_explained(gate: Make) -> None:
    made = gate()
    session = made.open("read_file", grants=["files"], files=True)
    for arguments in ({}, {"path": 7}, {"path": "a.txt", "more": 1}):
        outcome = session.call("read_file", **arguments)
        assert "bad_arguments" in outcome.text
    assert made.events(Kind.CALL_RESERVED) == []


def test_a_computation_needs_nothing_and_has_nothing(gate: Make, folder: Path) -> None:
    (folder.parent / "mine.py").write_text(LOOKS)
    session = gate().open({"module": "mine.py"})
    assert session.ok("looks") == "[]"
    assert session.held == NONE


def _head(image: str) -> dict[str, Any]:
    path = "/usr/bin/head"
    made = subprocess.run(
        ["docker", "create", image, "none"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        copied = subprocess.run(
            ["docker", "cp", "-L", f"{made}:{path}", "-"], capture_output=True, check=True
        ).stdout
    finally:
        subprocess.run(["docker", "rm", made], capture_output=True, check=True)
    return {
        "command": "first_lines",
        "description": "The first lines of a file.",
        "executable": path,
        "sha256": hashlib.sha256(_only_member(copied)).hexdigest(),
        "needs": ["files"],
        "argv": ["-n", "{lines}", "--", "{path}"],
        "arguments": {
            "lines": {"type": "integer", "minimum": 1, "maximum": 100},
            "path": {"type": "string"},
        },
    }


def _only_member(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        assert member is not None
        return member.read()


MODULE = """
import os
from trilemma import tool

try:
    open({marker!r}, "w").close()
except OSError:
    pass

@tool(needs={{"files"}})
def count(path: str) -> int:
    "Count lines."
    with open(path) as file:
        return sum(1 for _ in file)

@tool(needs=set())
def add(a: int, b: int) -> int:
    "Add."
    return a + b
""".replace("{marker!r}", '"{marker}"')

UNDECLARED = """
from trilemma import tool

@tool
def wild(name: str) -> str:
    "Write a file."
    open(name, "w").close()
    return name
"""

LOOKS = """
import os
from trilemma import tool

@tool(needs=set())
def looks() -> list[str]:
    "What of the host there is to see."
    return os.listdir("/workspace") if os.path.exists("/workspace") else []
"""
