"""A folder carried out and back by the real code at both ends, and what agents do to hinder it."""

import codecs
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trilemma.errors import SandboxError
from trilemma.gateway.workspaces import diff as diffs
from trilemma.gateway.workspaces.layers import Layer, Layers
from trilemma.gateway.workspaces.mark import FILE as MARK_FILE
from trilemma.sandbox.base import CallError, CallResult, CarryEntry, SandboxCall
from trilemma.sandbox.carried import carrier as carriers, packing as packings
from trilemma.sandbox.carried.carrier import Carrier
from trilemma.sandbox.carried.packing import Packing
from trilemma.sandbox.carried.record import Record
from trilemma.sandbox.carried.tree import Kind, Node, read_tree
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.spec import Mount, SandboxSpec
from trilemma.sandbox.toolhost import carry
from trilemma.sandbox.toolhost.frames import dumps
from trilemma.sandbox.toolhost.settings import Settings
from trilemma.sandbox.views import ViewMaker

MOUNT = Mount(Path(), read_only=False, uid=64101, gid=64101, volume="v")
SETTINGS = Settings("never", "none", "rw", 1 << 20, 1 << 20, ())
NOBODY = 65534


class Here:
    """The code that carries, in this process."""

    lost = ""
    """An entry that it dies of."""
    longest = 0
    """Bytes of the longest answer."""

    def create(self, spec: SandboxSpec) -> "Here":
        return self

    def call(self, call: SandboxCall) -> CallResult:
        assert isinstance(call.entry, CarryEntry)
        if call.entry.name == self.lost:
            return CallResult(error=CallError("lost", "it is gone"))
        value = carry.run(call.entry.name, call.arguments, SETTINGS)
        self.longest = max(self.longest, len(dumps(value)))
        return CallResult(value)


class Desk:
    """A person's folder and a layer, for one session after the other."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = place / "folder"
        (self.folder / "sub").mkdir(parents=True)
        (self.folder / "a.txt").write_text("a")
        (self.folder / "sub/b.txt").write_text("b")
        self.layer: Layer = Layers(place / "layers").create("ws", self.folder, "session")
        self.carrier = Here()
        self._place = place
        self._count = 0
        self._patch = monkeypatch

    def session(self) -> tuple[Packing, Path]:
        """A session begins; how it is packed, and what its agent sees."""
        self._count += 1
        volume = self._place / f"volume-{self._count}"
        volume.mkdir()
        self._patch.setattr(carry, "WORKSPACE", str(volume))
        carrier = Carrier(self.carrier, MOUNT, "sha256:x", 1 << 20)  # type: ignore[arg-type]
        packing = Packing(Folder.at(self.folder), self.layer.place, carrier)
        packing.fill(1 << 20)
        return packing, volume

    def told(self) -> dict[str, str]:
        """What the person is told."""
        changes = diffs.diff(self.layer, Folder.at(self.folder))
        rows = {change.path: str(change.action) for change in changes.changes}
        return rows | {refused.path: refused.why for refused in changes.refused}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def cut_short(desk: Desk) -> list[str]:
    """A session whose carrier dies while it packs goes on in a layer that deletes a file."""
    (desk.layer.upper).mkdir()
    os.mknod(desk.layer.upper / "a.txt", 0o020000, os.makedev(0, 0))
    packing, volume = desk.session()
    assert os.listdir(volume) == ["sub"]
    (volume / "new").write_text("new")
    desk.carrier.lost = "get"
    with pytest.raises(SandboxError):
        packing.pack()
    return sorted(os.listdir(desk.session()[1]))


@pytest.mark.root
def test_packing_that_is_cut_short_undoes_no_deletion(desk: Desk) -> None:
    assert cut_short(desk) == ["sub"]
    assert desk.told() == {"a.txt": "delete"}


@pytest.mark.root
def test_sabotage_where_the_list_is_saved_last_a_deleted_file_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Record, "save", lambda self, layer: None)
    assert cut_short(desk) == ["a.txt", "sub"]


def as_nobody(act: Callable[[], bool]) -> bool:
    """Whether it is so for a user without rights of root."""
    codecs.lookup("ascii")  # Nobody may not read the library.
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os._exit(0 if act() else 1)
        finally:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1)
    return status == 0


def goes_on(desk: Desk) -> Callable[[], bool]:
    """One session takes the rights to a folder away; whether the next one keeps its content."""

    def act() -> bool:
        packing, volume = desk.session()
        (volume / "sub/new").write_text("new")
        (volume / "sub").chmod(0)
        packing.pack()
        packing, volume = desk.session()
        packing.pack()
        return "sub/new" in desk.told()

    return act


@pytest.fixture
def nobodys(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Desk:
    place = tmp_path_factory.mktemp("nobody")
    for above in (place, *place.parents[:2]):
        above.chmod(0o755)
    desk = Desk(place, monkeypatch)
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return desk


@pytest.mark.root
def test_rights_that_an_agent_took_away_lose_nothing(nobodys: Desk) -> None:
    assert as_nobody(goes_on(nobodys))


@pytest.mark.root
def test_sabotage_what_cannot_be_read_is_dropped_and_counts_as_deleted(
    nobodys: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packings, "_own_tree", read_tree)
    assert not as_nobody(goes_on(nobodys))
    assert Record.load(nobodys.layer.place).gone == ("sub",)


def without_mark(desk: Desk) -> dict[str, str]:
    """A person is told of a session that deletes the mark of a folder that is marked by a file."""
    (desk.folder / MARK_FILE).write_text("{}")
    packing, volume = desk.session()
    (volume / MARK_FILE).unlink()
    packing.pack()
    return desk.told()


def test_the_identity_mark_is_never_deleted(desk: Desk) -> None:
    assert without_mark(desk) == {
        MARK_FILE: "it is the workspace's identity mark, or passes for it"
    }


def test_sabotage_a_mark_that_is_a_file_like_others_is_deleted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffs, "passes_for_mark", lambda path, folder: False)
    assert without_mark(desk) == {MARK_FILE: "delete"}


LOOKALIKES = [
    ".TRILEMMA-Workspace",
    ".trilemma-wor\u212aspace",
    ".trilemma-workspace.",
    ".trilemma\u200d-workspace\ufe0f",
    "\uff0etrilemma-workspace",
    "TRILEM~1",
]
"""What some folder takes for the mark: letters' case, the sign for Kelvin, what nobody sees, wide
signs, and the short name that a folder made up."""


def with_lookalike(desk: Desk, name: str) -> dict[str, str]:
    (desk.folder / MARK_FILE).write_text("{}")
    if "~" in name:
        os.link(desk.folder / MARK_FILE, desk.folder / name)
    packing, volume = desk.session()
    (volume / name).unlink(missing_ok=True)
    (volume / name).write_text('{"workspace": "another"}')
    packing.pack()
    return desk.told()


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_a_folder_might_take_for_the_mark_is_never_applied(desk: Desk, name: str) -> None:
    assert "passes for it" in with_lookalike(desk, name)[name]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_sabotage_by_its_letters_alone_it_is_a_file_like_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(diffs, "passes_for_mark", lambda path, folder: path == MARK_FILE)
    assert with_lookalike(desk, name)[name] in ("add", "modify")


@pytest.mark.parametrize("name", ["sub/.trilemma-workspace", ".trilemma-workspaces", "workspace"])
def test_other_names_are_applied(desk: Desk, name: str) -> None:
    assert with_lookalike(desk, name) == {name: "add"}


@pytest.mark.parametrize("name", ["\x01", "\u4e16"])
def test_a_page_of_names_that_grow_on_their_way_fits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(carriers, "_ROOM", 10_000)
    packing, volume = desk.session()
    for number in range(100):
        (volume / (name * (200 // len(name.encode())) + str(number))).touch()
    packing.pack()
    assert len(desk.told()) == 100
    assert 2_000 < desk.carrier.longest < 12_000


def nested(desk: Desk) -> None:
    """An agent makes a path that no system call takes, and something else."""
    packing, volume = desk.session()
    (volume / "good").write_text("good")
    here = os.open(volume, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("x" * 240, dir_fd=here)
        deeper = os.open("x" * 240, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    packing.pack()


def test_a_path_too_long_loses_nothing_but_itself(desk: Desk) -> None:
    nested(desk)
    told = desk.told()
    assert told["good"] == "add"
    assert "nested too deep" in told["/".join(["x" * 240] * 15)]


def test_sabotage_a_path_too_long_keeps_everything_from_coming_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carry, "_LONGEST_FOLDER", 1 << 20)
    with pytest.raises(SandboxError, match="nonsense"):
        nested(desk)


def mapped(desk: Desk, *, last: bool) -> bytes:
    """What the layer holds of a file that got other content and kept its time and all."""
    packing, volume = desk.session()
    (volume / "new").write_text("new")
    packing.pack()
    known = (volume / "new").stat()
    (volume / "new").write_text("NEW")
    # Mapped memory changes without a new time; here it is the list that says so.
    packing._known["new"] = replace(
        packing._known.get("new", Node(Kind.FILE)),
        mode=0o644,
        size=3,
        mtime=(volume / "new").stat().st_mtime_ns,
        changed=(volume / "new").stat().st_ctime_ns,
        inode=known.st_ino,
    )
    packing.pack(last=last)
    return (desk.layer.upper / "new").read_bytes()


def test_content_that_changed_without_a_new_time_comes_back_at_the_end(desk: Desk) -> None:
    assert mapped(desk, last=True) == b"NEW"


def test_sabotage_by_times_alone_it_does_not(desk: Desk) -> None:
    assert mapped(desk, last=False) == b"new"


@pytest.fixture
def hiding(tmp_path: Path) -> tuple[Layer, Folder]:
    """A folder, and a layer in which a mounted session made a folder in it anew."""
    folder = tmp_path / "theirs"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/secret").write_text("secret")
    layer = Layers(tmp_path / "layers").create("ws", folder, "session")
    (tmp_path / "run").mkdir()
    views = ViewMaker(tmp_path / "run")
    view = views.layer_view(Folder.at(folder), layer.place, exec=False)
    shutil.rmtree(view.mount.source / "sub")
    (view.mount.source / "sub").mkdir()
    view.close()
    views.close()
    return layer, Folder.at(folder)


LOOK = """
import sys
from pathlib import Path
from trilemma.errors import WorkspaceError
from trilemma.gateway.workspaces import diff
from trilemma.gateway.workspaces.layers import Layer
from trilemma.sandbox.folder import Folder
if sys.argv[3] == "sabotaged":
    diff.refuse_half_read = lambda layer: None
try:
    changes = diff.diff(Layer.load(Path(sys.argv[1])), Folder.at(Path(sys.argv[2])))
    print([f"{change.action} {change.path}" for change in changes.changes])
except WorkspaceError as error:
    print(error)
"""


def looked(layer: Layer, folder: Folder, how: str) -> str:
    """What a person is told by a process that may not mount."""
    without = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    command = [*without, sys.executable, "-c", LOOK, str(layer.place), str(folder.path), how]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.root
def test_who_cannot_read_all_of_a_layer_reads_none(hiding: tuple[Layer, Folder]) -> None:
    assert [c.path for c in diffs.diff(*hiding).changes] == ["sub/secret"]
    assert "reading it takes CAP_SYS_ADMIN" in looked(*hiding, "as it is")


@pytest.mark.root
def test_sabotage_half_of_a_layer_hides_a_deletion(hiding: tuple[Layer, Folder]) -> None:
    assert looked(*hiding, "sabotaged") == "[]"


def read_at_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch, capacity: int) -> int:
    """How many files are read for their digests where an agent made many with holes."""
    read: list[bytes] = []

    def digest(root: int, path: bytes) -> str:
        read.append(path)
        return ""

    monkeypatch.setattr(carry, "_digest", digest)
    monkeypatch.setattr(carry, "_capacity", lambda root: capacity)
    packing, volume = desk.session()
    for number in range(50):
        with (volume / str(number)).open("wb") as file:
            file.truncate(1 << 20)
    packing.pack(last=True)
    return len(read)


def test_holes_are_not_read_without_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_at_the_end(desk, monkeypatch, 3 << 20) <= 5


def test_sabotage_without_a_bound_every_hole_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_at_the_end(desk, monkeypatch, 1 << 60) >= 50
