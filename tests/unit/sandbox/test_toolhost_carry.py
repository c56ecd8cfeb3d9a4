"""Carrying as it is done inside: nothing is made, read or named outside the workspace."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.sandbox.toolhost import carry
from trilemma.sandbox.toolhost.errors import CallFailed, NotFound
from trilemma.sandbox.toolhost.settings import Settings

Carry = Callable[..., Any]
DATA = base64.b64encode(b"data").decode()


def profile(**fields: Any) -> Settings:
    values: dict[str, Any] = dict.fromkeys(Settings._fields)
    values |= {"exec": "never", "workspace": "rw"}
    return Settings(**(values | fields))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, with something outside it that nobody may reach."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("canary")
    (tmp_path / "workspace").mkdir()
    monkeypatch.setattr(carry, "WORKSPACE", str(tmp_path / "workspace"))
    return tmp_path / "workspace"


def put(*rows: list[Any]) -> None:
    carry.run("put", {"rows": list(rows)}, profile())


def listed(after: str = "", room: int = 1 << 20, *, digests: bool = False) -> Any:
    return carry.run("list", {"after": after, "room": room, "digests": digests}, profile())


def got(path: str, offset: int = 0, length: int = 100) -> bytes | None:
    (piece,) = carry.run("get", {"pieces": [[path, offset, length]]}, profile())
    return None if piece is None else base64.b64decode(piece)


def test_what_was_put_is_listed_and_got(place: Path) -> None:
    put(
        ["folder", "d"],
        ["data", "d/\xff", 0, DATA],
        ["data", "d/\xff", 4, DATA],
        ["link", "d/l", "/etc/passwd"],
        ["done", "d/\xff", 0o4751, 10**18],
        ["done", "d", 0o750, 10**18],
    )
    rows = {row[0]: row[1:5] for row in listed()["rows"]}
    assert rows["d/\xff"] == ["file", 0o751, 8, 10**18]
    assert rows["d"][:2] == ["folder", 0o750]
    assert rows["d/l"][0] == "link"
    assert got("d/\xff", 2, 4) == b"tada"
    assert os.listxattr(place / "d") == []


@pytest.mark.parametrize(
    "row",
    [
        ["data", "../outside/new", 0, DATA],
        ["data", "l/new", 0, DATA],
        ["data", "l", 0, DATA],
        ["folder", "../outside/new"],
        ["folder", "l/new"],
        ["link", "../outside/new", "x"],
        ["link", "l/new", "x"],
        ["done", "l/secret", 0o777, 0],
        ["done", "../outside/secret", 0o777, 0],
        ["other", "new"],
    ],
)
def test_nothing_is_put_outside(place: Path, row: list[Any]) -> None:
    (place / "l").symlink_to("../outside")
    before = (place.parent / "outside/secret").stat()
    with pytest.raises((OSError, CallFailed)):
        put(row)
    assert os.listdir(place.parent / "outside") == ["secret"]
    assert (place.parent / "outside/secret").stat() == before
    assert os.listdir(place) == ["l"]


def test_sabotage_a_walk_that_follows_links_leads_outside(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(directory: int, path: str, flags: int, mode: int = 0) -> int:
        return os.open(path or ".", flags & ~os.O_NOFOLLOW, mode, dir_fd=directory)

    monkeypatch.setattr(carry, "walk_beneath", careless)
    (place / "l").symlink_to("../outside")
    put(["data", "l/new", 0, DATA])
    assert (place.parent / "outside/new").read_bytes() == b"data"


@pytest.mark.parametrize("path", ["l/secret", "../outside/secret", "l", "fifo", "nothing", "d"])
def test_nothing_else_is_got(place: Path, path: str) -> None:
    (place / "l").symlink_to("../outside")
    (place / "d").mkdir()
    os.mkfifo(place / "fifo")
    assert got(path) is None


def test_what_is_no_file_is_named_and_not_entered(place: Path) -> None:
    (place / "l").symlink_to("../outside")
    os.mkfifo(place / "fifo")
    assert [row[:2] for row in listed()["rows"]] == [["fifo", "special"], ["l", "link"]]


def test_folders_nested_too_deep_are_named_and_not_entered(place: Path) -> None:
    deep = place.joinpath(*["d"] * (carry.MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    rows = listed()["rows"]
    assert len(rows) == carry.MAX_DEPTH
    assert rows[-1][1] == "deep"


def test_a_digest_tells_content_and_nothing_else(place: Path) -> None:
    (place / "l").symlink_to("../outside/secret")
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (place / name).write_text(text)
    digests = {row[0]: row[-1] for row in listed(digests=True)["rows"]}
    assert digests["a"] == digests["b"] != digests["c"]
    assert len(digests["a"]) == 32
    assert digests["l"] == ""


def test_pages_together_are_the_whole_in_order(place: Path) -> None:
    for name in ("b/x", "a", "b-", "b/y", "c\udcff"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("")
    whole = [row[0] for row in listed()["rows"]]
    assert whole == ["a", "b", "b/x", "b/y", "b-", "c\xff"]
    paged: list[str] = []
    while True:
        page = listed(paged[-1] if paged else "", room=300)
        paged += [row[0] for row in page["rows"]]
        if not page["more"]:
            break
    assert paged == whole


@pytest.mark.parametrize(
    "settings", [profile(exec="free"), profile(exec="once"), profile(workspace="ro")]
)
def test_only_a_locked_sandbox_with_a_workspace_carries(place: Path, settings: Settings) -> None:
    with pytest.raises(CallFailed):
        carry.run("list", {"after": "", "room": 1, "digests": False}, settings)
    with pytest.raises(NotFound):
        carry.run("remove", {}, profile())
