"""What comes out of a sandbox that carries a workspace is believed in nothing."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SandboxError
from trilemma.sandbox import beneath
from trilemma.sandbox.base import CallResult, CarryEntry, SandboxCall
from trilemma.sandbox.carried import listing as listings
from trilemma.sandbox.carried.carrier import Carrier
from trilemma.sandbox.carried.listing import Listing
from trilemma.sandbox.carried.packing import Packing
from trilemma.sandbox.carried.record import Record
from trilemma.sandbox.carried.tree import Kind
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.spec import Mount, SandboxSpec

MOUNT = Mount(Path(), read_only=False, uid=64101, gid=64101, volume="v")


def row(path: str, kind: str = "file", **fields: Any) -> list[Any]:
    named = {"mode": 0o644, "size": 4, "mtime": 5, "changed": 6, "inode": 7, "target": ""} | fields
    return [path, kind, *named.values(), ""]


def page(*rows: Any, more: bool = False) -> dict[str, Any]:
    return {"clock": 10**18, "rows": list(rows), "more": more}


BAD: dict[str, list[Any]] = {
    "leads up": [row("../x")],
    "leads up within": [row("a", "folder"), row("a/../x")],
    "absolute": [row("/etc/x")],
    "empty": [row("")],
    "a dot": [row(".")],
    "a slash at its end": [row("a", "folder"), row("a/")],
    "a NUL": [row("a\0b")],
    "no bytes": [row("\u0400")],
    "a long name": [row("x" * 256)],
    "a long path": [row("/".join(["x" * 200] * 30))],
    "twice": [row("a"), row("a")],
    "out of order": [row("b"), row("a")],
    "without its folder": [row("a/b")],
    "in a file": [row("a"), row("a/b")],
    "in a link": [row("a", "link", target="/"), row("a/b")],
    "in a special file": [row("a", "special"), row("a/b")],
    "another kind": [row("a", "device")],
    "a negative size": [row("a", size=-1)],
    "a huge size": [row("a", size=1 << 70)],
    "a time beyond time": [row("a", mtime=1 << 70)],
    "a size that is true": [row("a", size=True)],
    "a size that is text": [row("a", size="4")],
    "a link to nowhere": [row("a", "link", target="")],
    "a link with a NUL": [row("a", "link", target="a\0b")],
    "too few fields": [["a", "file"]],
    "no list": [{"path": "a"}],
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_row_is_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="nonsense"):
        Listing().add(page(*BAD[name]))


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"rows": []}, page(more=True), page() | {"clock": "1"}]
)
def test_a_hostile_page_is_refused(answer: Any) -> None:
    with pytest.raises(SandboxError, match="nonsense"):
        Listing().add(answer)


def test_a_page_goes_on_where_the_last_one_ended() -> None:
    listing = Listing()
    listing.add(page(row("a", "folder"), row("a/b"), more=True))
    listing.add(page(row("c")))
    assert (listing.full, list(listing.nodes)) == (True, ["a", "a/b", "c"])
    again = Listing()
    again.add(page(row("b"), more=True))
    with pytest.raises(SandboxError, match="nonsense"):
        again.add(page(row("a")))


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MAX_ENTRIES", 2)
    with pytest.raises(SandboxError, match="too many to carry"):
        Listing().add(page(row("a"), row("b"), row("c")))


def test_a_mode_never_sets_an_id() -> None:
    listing = Listing()
    listing.add(page(row("a", mode=0o6755)))
    assert listing.nodes["a"].mode == 0o755


_NAMES = st.sampled_from(["a", "b", "..", ".", "", "/", "a/b", "a/../b", "\0", "ÿ", "x" * 300])
_ROWS = st.lists(
    st.builds(
        row,
        st.lists(_NAMES, min_size=1, max_size=4).map("/".join),
        st.sampled_from([*Kind, "x"]),
        target=_NAMES,
    )
)


@given(rows=_ROWS)
def test_what_is_taken_lies_in_folders_that_were_named(rows: list[Any]) -> None:
    listing = Listing()
    try:
        listing.add(page(*sorted(rows)))
    except SandboxError:
        return
    for path in listing.nodes:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        for n in range(1, len(parts)):
            assert listing.nodes["/".join(parts[:n])].kind is Kind.FOLDER


ENDLESS = object()


def zeros(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


class Liar:
    """Both ends of a carrier that says what it likes."""

    def __init__(self, rows: list[Any], piece: Any = None) -> None:
        self._rows = rows
        self._piece = piece
        self._first = True

    def create(self, spec: SandboxSpec) -> Any:
        return self

    def call(self, call: SandboxCall) -> CallResult:
        match call.entry:
            case CarryEntry("list"):
                first, self._first = self._first, False
                return CallResult(page() if first else page(*self._rows))
            case CarryEntry("get"):
                asked = [length for _, _, length in call.arguments["pieces"]]
                endless = self._piece is ENDLESS
                return CallResult([zeros(n) if endless else self._piece for n in asked])
        return CallResult()


@pytest.fixture
def lie(tmp_path: Path) -> Callable[..., Path]:
    """Has a liar's answers packed into a layer; the layer's folder of changes."""
    folder, layer = tmp_path / "folder", tmp_path / "layer-1"
    folder.mkdir()
    (folder / "kept").write_text("kept")
    (layer / "upper").mkdir(parents=True)

    def pack(rows: list[Any], data: Any = b"evil") -> Path:
        piece = base64.b64encode(data).decode() if isinstance(data, bytes) else data
        carrier = Carrier(Liar(rows, piece), MOUNT, "sha256:x", 1000)  # type: ignore[arg-type]
        packing = Packing(Folder.at(folder), layer, carrier)
        packing.fill(10_000)
        packing.pack()
        return layer / "upper"

    return pack


def test_a_file_comes_into_the_layer(lie: Callable[..., Path]) -> None:
    upper = lie([row("d", "folder", mode=0o755), row("d/x")])
    assert (upper / "d/x").read_bytes() == b"evil"


@pytest.mark.parametrize("piece", [7, "not base64!", b"longer than it was asked for"])
def test_a_hostile_piece_is_refused(lie: Callable[..., Path], piece: Any) -> None:
    with pytest.raises(SandboxError, match="nonsense"):
        lie([row("x")], piece)


def test_a_file_without_an_end_is_refused(lie: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="larger than it can be"):
        lie([row("x")], ENDLESS)
    assert not (tmp_path / "layer-1/upper/x").exists()


def test_files_larger_than_where_they_lie_are_left_out_and_said(
    lie: Callable[..., Path], tmp_path: Path
) -> None:
    upper = lie([row("a"), row("b", size=1 << 40), row("c")])
    assert sorted(os.listdir(upper)) == ["a", "c"]
    (why,) = Record.load(tmp_path / "layer-1").lost.values()
    assert "holes in them count" in why


def test_a_file_with_holes_takes_nobody_s_place_whatever_it_is_called(
    lie: Callable[..., Path], tmp_path: Path
) -> None:
    upper = lie([row("a", size=998), row("b"), row("c")])
    assert sorted(os.listdir(upper)) == ["b", "c"]
    assert list(Record.load(tmp_path / "layer-1").lost) == ["a"]


def test_names_are_taken_as_long_as_there_is_room() -> None:
    rows = [row(f"{number:06}" + "x" * 240, "link", target="y" * 4000) for number in range(9000)]
    with pytest.raises(SandboxError, match="too long to carry"):
        Listing().add(page(*rows))


def test_a_file_that_is_gone_is_left_out(lie: Callable[..., Path]) -> None:
    assert list(lie([row("x")], None).iterdir()) == []


def test_nothing_is_written_through_a_link_in_the_layer(
    lie: Callable[..., Path], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "layer-1/upper/d").symlink_to(outside)
    (tmp_path / "layer-1/upper/x").symlink_to(outside / "x")
    upper = lie([row("d", "folder", mode=0o755), row("d/x"), row("x")])
    assert list(outside.iterdir()) == []
    assert (upper / "d/x").read_bytes() == (upper / "x").read_bytes() == b"evil"


def test_sabotage_without_the_checks_a_file_lands_outside(
    lie: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = [row("..", "folder", mode=0o755), row("../evil")]
    with pytest.raises(SandboxError, match="nonsense"):
        lie(hostile)
    assert not (tmp_path / "layer-1/evil").exists()
    monkeypatch.setattr(listings, "_checked_path", lambda text: text)
    with pytest.raises(OSError, match="cross-device"):
        # The kernel refuses as well what the list let through.
        beneath.open_beneath(os.open(tmp_path, os.O_RDONLY), "..", os.O_PATH)

    def careless(root: int, path: str, flags: int, *, mode: int = 0) -> int:
        return os.open(path or ".", flags, mode, dir_fd=root)

    monkeypatch.setattr(beneath, "open_beneath", careless)
    lie(hostile)
    assert (tmp_path / "layer-1/evil").read_bytes() == b"evil"
