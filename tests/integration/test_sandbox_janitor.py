"""However a gateway ends, nothing of it stays: no container, no mount, no socket, no folder."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trilemma.sandbox import leftovers
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.fate import Fate, fate
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.leftovers import sweep, unjudged
from trilemma.sandbox.mounts import mounted_below
from trilemma.sandbox.runtime import Instance, RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

GATEWAY = """
import sys
from dataclasses import replace
from pathlib import Path
from trilemma.policy.capability import parse
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import LATER, Egress, Exec, SandboxSpec
from trilemma.sandbox.views import ViewMaker

root, folder, image, careful = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
runtime = RuntimeDir.create(root)
janitor = Janitor.start(runtime) if careful == "with janitor" else None
view = ViewMaker(runtime.path).direct_view(Folder.at(folder), read_only=True, exec=False)
backend = DockerBackend(runtime)
spec = SandboxSpec(parse(["files"]), Exec.NEVER, Egress.NONE, view.mount, image)
late = backend.create(replace(spec, mount=replace(view.mount, source=LATER)))
late.show(view.mount)
sandboxes = [backend.create(spec), late]
print(runtime.instance, flush=True)
sys.stdin.read()
"""


class Gateway:
    """A process with a view and two sandboxes: one made with it, one that it was shown to."""

    def __init__(self, root: Path, folder: Path, image: str, careful: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(root), str(folder), image, careful],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.instance = self.process.stdout.readline().strip()
        assert self.instance
        self.path = root / self.instance

    def end(self, number: int) -> None:
        os.killpg(self.process.pid, number)
        self.process.communicate()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def containers(engine: Engine, instance: str) -> int:
    return len(engine.containers(f"dev.trilemma.instance={instance}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "precious").write_text("still here")
    return path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_gateway_leaves_nothing(
    number: int, engine: Engine, base_image: str, tmp_path: Path, folder: Path
) -> None:
    gateway = Gateway(tmp_path / "run", folder, base_image, "with janitor")
    assert containers(engine, gateway.instance) == 2
    assert mounted_below(gateway.path)
    gateway.end(number)
    assert eventually(lambda: not gateway.path.exists())
    assert containers(engine, gateway.instance) == 0
    assert mounted_below(gateway.path) == []
    assert (folder / "precious").read_text() == "still here"


def test_without_the_janitor_mounts_stay_and_the_sweep_removes_them(
    engine: Engine, base_image: str, tmp_path: Path, folder: Path
) -> None:
    gateway = Gateway(tmp_path / "run", folder, base_image, "without")
    gateway.end(signal.SIGKILL)
    # The tool host exits when its connection closes, so the Engine removes the containers.
    assert eventually(lambda: containers(engine, gateway.instance) == 0)
    assert mounted_below(gateway.path)
    assert sweep(tmp_path / "run", engine) == 1
    assert not gateway.path.exists()
    assert (folder / "precious").read_text() == "still here"
    assert sweep(tmp_path / "run", engine) == 0


def test_the_sweep_spares_the_living(
    runtime: RuntimeDir, backend: DockerBackend, engine: Engine, base_image: str
) -> None:
    sandbox = backend.create(SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, base_image))
    sweep(runtime.path.parent, engine)
    assert runtime.path.exists()
    assert engine.inspect(sandbox.id) is not None


def test_a_stopped_container_of_a_dead_gateway_is_swept(
    engine: Engine, base_image: str, tmp_path: Path
) -> None:
    container = left_by(engine, base_image, str(replace(Instance.current(), started=1)))
    sweep(tmp_path, engine)
    assert engine.inspect(container) is None


def left_by(engine: Engine, image: str, instance: str) -> str:
    """A container of the gateway of that name."""
    labels = {"dev.trilemma.instance": instance}
    config = {"Image": image, "Cmd": ["x"], "Labels": labels}
    return engine.create(config, f"trilemma-test-{secrets.token_hex(6)}")


OTHERS = {
    "another version's": lambda: f"v9:{os.getpid()}",
    "another machine's": lambda: str(replace(Instance.current(), machine="0" * 8, boot="0" * 8)),
    "another container's": lambda: str(replace(Instance.current(), namespace=1, pid=1)),
}


@pytest.mark.parametrize("whose", OTHERS)
def test_what_cannot_be_judged_is_left_alone_and_named_until_a_person_says_that_it_is_gone(
    whose: str, engine: Engine, base_image: str, tmp_path: Path
) -> None:
    name = OTHERS[whose]()
    container = left_by(engine, base_image, name)
    try:
        sweep(tmp_path, engine)
        assert engine.inspect(container) is not None
        assert name in unjudged(engine)
        sweep(tmp_path, engine, gone=[name])
        assert engine.inspect(container) is None
        assert name not in unjudged(engine)
    finally:
        engine.remove(container)


def test_sabotage_where_a_name_that_cannot_be_read_counts_as_gone_it_is_removed(
    engine: Engine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = OTHERS["another version's"]()
    container = left_by(engine, base_image, name)
    monkeypatch.setattr(leftovers, "fate", lambda each: Fate.GONE if each == name else fate(each))
    sweep(tmp_path, engine)
    assert engine.inspect(container) is None


def test_a_clean_end_is_quick_and_leaves_nothing(tmp_path: Path) -> None:
    runtime = RuntimeDir.create(tmp_path)
    janitor = Janitor.start(runtime)
    janitor.close(clean=True)
    janitor.close(clean=True)
    assert not runtime.path.exists()


def test_the_janitor_notices_death_behind_a_forked_child(tmp_path: Path) -> None:
    """A child that was forked without exec holds the pipe; the janitor does not wait for it."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from trilemma.sandbox.janitor import Janitor\n"
        "from trilemma.sandbox.runtime import RuntimeDir\n"
        "runtime = RuntimeDir.create(Path(sys.argv[1]))\n"
        "janitor = Janitor.start(runtime)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "print(runtime.path, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert eventually(lambda: not path.exists())
