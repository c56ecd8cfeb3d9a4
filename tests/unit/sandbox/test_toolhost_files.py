"""The file tools: what they do in a workspace, and that nothing leads them out of it."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from trilemma.sandbox.toolhost import beneath, catalog, workspace
from trilemma.sandbox.toolhost.context import Context
from trilemma.sandbox.toolhost.errors import BadArguments, CallFailed, NotFound
from trilemma.sandbox.toolhost.settings import Settings

Tool = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, with a secret beside it."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.setattr(workspace, "WORKSPACE", str(folder))
    return folder


@pytest.fixture
def tool(folder: Path) -> Tool:
    """Call a file tool as a call's child does."""
    here, there = socket.socketpair()
    context = Context(Settings("never", "none", "rw", 1 << 20, 1 << 28, ()), here, None)
    there.close()
    here.close()

    def call(tool: str, **arguments: Any) -> Any:
        return catalog.run(tool, arguments, context)

    return call


def test_files_are_listed_read_written_edited_and_found(tool: Tool, folder: Path) -> None:
    assert tool("write_file", path="src/a.py", text="import os\nprint(1)\n") == (
        "wrote 19 bytes to src/a.py"
    )
    assert tool("edit_file", path="src/a.py", old="print(1)", new="print(2)").startswith("replaced")
    assert (folder / "src/a.py").read_text() == "import os\nprint(2)\n"
    assert tool("list_files") == ["src/"]
    assert tool("list_files", recursive=True) == ["src/", "src/a.py"]
    assert tool("list_files", path="src", pattern="*.md") == []
    assert tool("read_file", path="src/a.py") == "import os\nprint(2)\n"
    assert tool("read_file", path=f"{folder}/src/a.py", first_line=2) == "print(2)\n"
    assert tool("search_files", pattern="^PRINT", ignore_case=True) == ["src/a.py:2: print(2)"]


def test_long_answers_are_cut_and_say_how_to_go_on(tool: Tool, folder: Path) -> None:
    (folder / "long").write_text("".join(f"{n}\n" for n in range(10)))
    text = tool("read_file", path="long", lines=3)
    assert text.startswith("0\n1\n2\n...")
    assert "first_line=4" in text
    for n in range(5):
        (folder / f"f{n}").touch()
    assert len(tool("list_files", limit=2)) == 3
    assert "more than 2" in tool("list_files", limit=2)[-1]
    assert "more than 4" in tool("search_files", pattern="[0-9]", limit=4)[-1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"path": "missing"}, "'missing' does not exist"),
        ({"path": "sub"}, "is a folder"),
        ({"path": "binary"}, "binary file of 3 bytes"),
        ({"path": "latin"}, "not UTF-8 text"),
        ({"path": "a/b"}, "not a folder"),
        ({"path": ""}, "is a folder"),
        ({"path": "x" * 300}, "too long"),
        ({"path": "a", "first_line": 9}, "only 1 lines"),
    ],
)
def test_what_cannot_be_read_is_said_clearly(
    tool: Tool, folder: Path, arguments: dict[str, Any], why: str
) -> None:
    (folder / "sub").mkdir()
    (folder / "a").write_text("one")
    (folder / "binary").write_bytes(b"a\0b")
    (folder / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(CallFailed, match=why):
        tool("read_file", **arguments)


@pytest.mark.parametrize(
    "path", ["../secret", "sub/../../secret", "link", "away/secret", "round/../secret", "/secret"]
)
def test_no_path_leads_out_of_the_workspace(tool: Tool, folder: Path, path: str) -> None:
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "away").symlink_to("..")
    (folder / "round").symlink_to("sub/../..")
    for name, more in [
        ("read_file", {}),
        ("write_file", {"text": "changed"}),
        ("edit_file", {"old": "secret", "new": "changed"}),
    ]:
        with pytest.raises(CallFailed):
            tool(name, path=path, **more)
    assert (folder.parent / "secret").read_text() == "secret"
    assert tool("search_files", pattern="secret") == []


def test_sabotage_without_the_kernels_check_the_same_path_leads_out(
    tool: Tool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def naive(directory: int, path: str, flags: int, mode: int = 0) -> int:
        return os.open(path, flags, mode, dir_fd=directory)

    monkeypatch.setattr(workspace, "open_beneath", naive)
    (folder / "link").symlink_to(folder.parent / "secret")
    assert tool("read_file", path="link") == "secret"
    assert tool("read_file", path="../secret") == "secret"


def test_symbolic_links_within_the_workspace_work(tool: Tool, folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "real/a").write_text("text")
    (folder / "link").symlink_to("real/a")
    assert tool("read_file", path="link") == "text"
    assert tool("list_files", recursive=True) == ["link", "real/", "real/a"]


def test_folders_behind_links_are_neither_listed_nor_searched(tool: Tool, folder: Path) -> None:
    (folder / "away").symlink_to(folder.parent)
    (folder / "loop").symlink_to(".")
    assert tool("list_files", recursive=True) == ["away", "loop"]
    assert tool("search_files", pattern=".") == []


def test_sockets_fifos_and_devices_are_not_opened(tool: Tool, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        for name in ("fifo", "socket"):
            with pytest.raises(CallFailed, match="regular file"):
                tool("write_file", path=name, text="x")
            with pytest.raises(CallFailed):
                tool("read_file", path=name)


def test_edits_that_are_not_clear_change_nothing(tool: Tool, folder: Path) -> None:
    (folder / "a").write_text("x x")
    with pytest.raises(CallFailed, match="2 times"):
        tool("edit_file", path="a", old="x", new="y")
    with pytest.raises(CallFailed, match="does not occur"):
        tool("edit_file", path="a", old="z", new="y")
    with pytest.raises(BadArguments, match="empty"):
        tool("edit_file", path="a", old="", new="y")
    assert (folder / "a").read_text() == "x x"
    tool("edit_file", path="a", old="x", new="y", all=True)
    assert (folder / "a").read_text() == "y y"


def test_a_file_keeps_its_mode_and_gets_only_the_new_text(tool: Tool, folder: Path) -> None:
    (folder / "a").write_text("a longer text")
    (folder / "a").chmod(0o640)
    tool("write_file", path="a", text="short")
    assert (folder / "a").read_text() == "short"
    assert (folder / "a").stat().st_mode & 0o777 == 0o640


def test_arguments_are_checked_and_unknown_tools_named(tool: Tool) -> None:
    with pytest.raises(BadArguments, match="path is missing"):
        tool("read_file")
    with pytest.raises(BadArguments, match="no argument 'mode'"):
        tool("read_file", path="a", mode="r")
    with pytest.raises(BadArguments, match="regular expression"):
        tool("search_files", pattern="(")
    with pytest.raises(BadArguments, match="NUL"):
        tool("read_file", path="a\0b")
    with pytest.raises(NotFound, match="'format_disk'"):
        tool("format_disk")
    with pytest.raises(NotFound, match="profile"):
        tool("run_code", language="shell", code="true")


def test_file_names_that_are_not_text_are_shown_and_can_be_sent(tool: Tool, folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff"))).write_text("x")
    (name,) = tool("list_files")
    assert name.encode()


PARTS = st.sampled_from(["a", "b", "..", ".", "", "link", "out", "/"])


@hypothesis_settings(max_examples=200)
@given(st.lists(PARTS, min_size=1, max_size=7).map("/".join))
def test_the_walk_opens_nothing_that_the_kernel_would_not(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    root = tmp_path_factory.mktemp("walk")
    (root / "a/b").mkdir(parents=True)
    (root / "b").write_text("b")
    (root / "link").symlink_to("a")
    (root / "out").symlink_to("..")
    directory = os.open(root, os.O_PATH)
    try:
        got = beneath.walk_beneath(directory, path, os.O_RDONLY)
    except OSError:
        return
    finally:
        os.close(directory)
    inside = os.path.realpath(f"/proc/self/fd/{got}")
    os.close(got)
    assert inside == str(root) or inside.startswith(f"{root}/")
