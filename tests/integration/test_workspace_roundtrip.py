"""For any tree and any changes: diff and apply give exactly what the agent saw."""

import ctypes
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from trilemma.gateway.workspaces.apply import apply
from trilemma.gateway.workspaces.diff import diff
from trilemma.gateway.workspaces.layers import Layer, Layers
from trilemma.sandbox.carried.carrier import Carrier
from trilemma.sandbox.carried.packing import Packing
from trilemma.sandbox.carried.volume import Volume
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.views import ViewMaker

pytestmark = [pytest.mark.root, pytest.mark.slow]

NAMES = st.sampled_from(["a", "b", "c", "ä b", "-x", "\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENT = st.sampled_from(["", "one\n", "two\n", "no newline", "\0binary"])
STEPS = st.one_of(
    st.tuples(st.just("write"), PATHS, CONTENT),
    st.tuples(st.just("mkdir"), PATHS, st.just("")),
    st.tuples(st.just("link"), PATHS, st.sampled_from(["a", "b/c", "nowhere"])),
    st.tuples(st.just("delete"), PATHS, st.just("")),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("mode"), PATHS, st.sampled_from(["600", "644", "700", "755"])),
)
SCRIPTS = st.lists(STEPS, max_size=12)
SIZE = 16 * 1024 * 1024

Script = list[tuple[str, str, str]]


def step(act: str, path: str, value: str) -> None:
    target = Path(path)
    if act == "write":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(value)
    elif act == "mkdir":
        target.mkdir(parents=True)
    elif act == "link":
        target.symlink_to(value)
    elif act == "delete" and target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    elif act == "delete":
        target.unlink()
    elif act == "rename":
        shutil.move(path, value)
    else:
        target.chmod(int(value, 8))


def play(place: Path, script: Script, uid: int, *, inside: int | None = None) -> None:
    """Run the steps in ``place`` as the user; one that cannot be done is passed over.

    ``inside`` is the process whose mounts are to be seen, if not those of this one.
    """
    child = os.fork()
    if child == 0:
        if inside is not None:
            mounts = os.open(f"/proc/{inside}/ns/mnt", os.O_RDONLY)
            assert ctypes.CDLL(None).setns(mounts, 0) == 0
        os.chdir(place)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        for act, path, value in script:
            with suppress(OSError, shutil.Error):
                step(act, path, value)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def tree(place: Path) -> dict[str, tuple[str, int, bytes]]:
    """Everything that a reader of the folder can see, but times."""
    found = {}
    for parent, folders, files in os.walk(place):
        for name in folders + files:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                entry = ("link", 0, os.fsencode(os.readlink(path)))
            elif stat.S_ISDIR(mode):
                entry = ("directory", stat.S_IMODE(mode), b"")
            else:
                entry = ("file", stat.S_IMODE(mode), path.read_bytes())
            found[str(path.relative_to(place))] = entry
    return found


@contextmanager
def workbench() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp())
    try:
        yield place
    finally:
        shutil.rmtree(place)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=SCRIPTS, after=SCRIPTS, owner=st.sampled_from([0, 4321]))
def test_apply_gives_exactly_what_the_agent_saw(before: Script, after: Script, owner: int) -> None:
    with workbench() as place:
        work = place / "work"
        work.mkdir()
        os.chown(work, owner, owner)
        play(work, before, owner)
        folder = Folder.at(work)
        layers = Layers(place / "layers")
        layer = layers.create("ws-1", work, "session-1")
        maker = ViewMaker(place / "run")
        view = maker.layer_view(folder, layer.place, exec=False)
        untouched = tree(work)
        try:
            play(view.mount.source, after, view.mount.uid)
            seen = tree(view.mount.source)
        finally:
            maker.close()
        assert tree(work) == untouched
        changes = diff(layer, folder)
        applied = apply(changes, layer, folder, lambda: None)
        assert (changes.refused, applied.left) == ((), ())
        assert tree(work) == seen
        assert not diff(layer, folder)


class Stage:
    """One volume with its carrier, emptied after each use."""

    def __init__(self, backend: Any, image: str) -> None:
        self._backend = backend
        self.volume = Volume.make(backend, SIZE, executable=False)
        self._carrier = Carrier(backend, self.volume.mount, image, SIZE)
        sandbox = backend.engine.containers(f"dev.trilemma.instance={backend.instance}")[0]
        self._pid = first_process(backend.engine.inspect(sandbox["Id"]))
        self.place = Path(f"/proc/{self._pid}/root/workspace")

    def session(self, folder: Folder, layer: Layer, script: Script) -> dict[str, Any]:
        """What an agent sees at the end of a session with these steps."""
        packing = Packing(folder, layer.place, self._carrier)
        packing.fill(SIZE)
        for steps in (script[::2], script[1::2]):
            play(Path("/workspace"), steps, self.volume.mount.uid, inside=self._pid)
            packing.pack()
        seen = tree(self.place)
        for left in self.place.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        return seen

    def close(self) -> None:
        self._carrier.close()
        self._backend.close()
        self.volume.remove(self._backend)


@pytest.fixture(scope="module")
def stage(engine: Engine, base_image: str) -> Iterator[Stage]:
    place = Path(tempfile.mkdtemp())
    runtime = RuntimeDir.create(place / "run")
    stage = Stage(DockerBackend(runtime), base_image)
    yield stage
    stage.close()
    shutil.rmtree(place)


def mounted(place: Path, folder: Folder, layer: Layer, script: Script) -> dict[str, Any]:
    """What an agent sees at the end of a session whose folder is mounted."""
    maker = ViewMaker(place / "run")
    try:
        view = maker.layer_view(folder, layer.place, exec=False)
        for steps in (script[::2], script[1::2]):
            play(view.mount.source, steps, view.mount.uid)
        return tree(view.mount.source)
    finally:
        maker.close()


def told(layer: Layer, folder: Folder) -> tuple[Any, Any]:
    """What the person is told that the layer does."""
    changes = diff(layer, folder)
    rows = {change.path: (change.old, change.new, change.runs) for change in changes.changes}
    assert len(rows) == len(changes.changes)
    return rows, {refused.path: refused.why for refused in changes.refused}


@pytest.mark.docker
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@example(  # a folder made anew hides what lay deep below it
    before=[("write", "a", ""), ("mkdir", "b/a/a", "")],
    sessions=[([("delete", "b", "")], False), ([("mkdir", "b/a", "")], False)],
    owner=0,
)
@example(
    before=[("write", "a", ""), ("mkdir", "b/a", "")],
    sessions=[([("delete", "b", "")], True), ([("mkdir", "b", "")], False)],
    owner=0,
)
@given(
    before=SCRIPTS,
    sessions=st.lists(st.tuples(SCRIPTS, st.booleans()), min_size=1, max_size=3),
    owner=st.sampled_from([0, 4321]),
)
def test_layers_say_the_same_whether_carried_or_mounted(
    stage: Stage, before: Script, sessions: list[tuple[Script, bool]], owner: int
) -> None:
    with workbench() as place:
        work = place / "work"
        work.mkdir()
        os.chown(work, owner, owner)
        play(work, before, owner)
        folder = Folder.at(work)
        layers = Layers(place / "layers")
        one, other = (layers.create("ws-1", work, "session-1") for _ in range(2))
        plain = tree(work)
        for script, carry in sessions:
            plain = mounted(place, folder, one, script)
            if carry:
                assert stage.session(folder, other, script) == plain
            else:
                assert mounted(place, folder, other, script) == plain
            assert told(other, folder) == told(one, folder)
        applied = apply(diff(other, folder), other, folder, lambda: None)
        assert applied.left == ()
        assert tree(work) == plain
