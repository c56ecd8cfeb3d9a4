"""Process 1 ends calls, and everything ends with it, also where something holds it up.

With the lowest priority, on a processor where sixty others spin, it takes longer to die than
anybody waits, and what it should have ended goes on writing.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from trilemma.errors import SandboxLost
from trilemma.policy.capability import parse
from trilemma.sandbox import container, dockersandbox, evidence, proc
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.firstprocess import FirstProcess
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec
from trilemma.sandbox.views import ViewMaker

pytestmark = [pytest.mark.docker, pytest.mark.root]

PUSH = """
import os, resource
one = min(os.sched_getaffinity(0))
for push in (
    lambda: os.sched_setaffinity(1, {one}),
    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
    lambda: os.setpriority(os.PRIO_PGRP, 1, 19),
    lambda: resource.prlimit(1, resource.RLIMIT_MSGQUEUE, (0, 0)),
):
    try:
        push()
    except OSError:
        pass
# Its own place is its own affair.
os.setpriority(os.PRIO_PROCESS, 0, 5)
os.sched_setaffinity(0, {one})
print("pushed")
"""
WITHOUT = """
import sys
sys.path.append("/opt/trilemma")
from toolhost import host, lock
lock.ALWAYS = tuple(rule for rule in lock.ALWAYS if rule not in lock.NOT_PROCESS_1)
sys.exit(host.main([]))
"""


def pushed(backend: DockerBackend, engine: Engine, image: str) -> tuple[int, bool, bool]:
    """Of process 1: how nice it is, whether it has all processors, whether its limit is its own."""
    spec = SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image)
    sandbox = backend.create(spec)
    first = evidence.first_process(engine.inspect(sandbox.id))
    everywhere = os.sched_getaffinity(first)
    arguments = {"language": "python", "code": PUSH}
    result = sandbox.call(SandboxCall("push", BuiltinEntry("run_code"), arguments, 20))
    assert result.value["stdout"] == "pushed\n"
    limits = Path(f"/proc/{first}/limits").read_text().splitlines()
    own = not any(line.split()[3] == "0" for line in limits if line.startswith("Max msgqueue"))
    there = os.sched_getaffinity(first) == everywhere
    return os.getpriority(os.PRIO_PROCESS, first), there, own


def test_nothing_in_a_sandbox_pushes_process_1_aside(
    backend: DockerBackend, engine: Engine, code_image: str
) -> None:
    assert pushed(backend, engine, code_image) == (0, True, True)


def test_twin_without_these_rules_it_is_pushed_aside(
    backend: DockerBackend, engine: Engine, code_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "ENTRYPOINT", (*container.ENTRYPOINT[:-1], "-c", WITHOUT))
    monkeypatch.setattr(evidence, "read_all", lambda processes: None)
    assert pushed(backend, engine, code_image) == (19, False, False)


WRITE = "for i in 1 2 3 4; do while :; do echo x; done & done > log; wait"

Frozen = Callable[[], tuple[int, int]]


def runs_on(process: int) -> bool:
    """Whether it will run again, as nobody has killed it."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask >> (signal.SIGKILL - 1) & 1 for mask in pending)


@pytest.fixture
def frozen(
    backend: DockerBackend,
    engine: Engine,
    code_image: str,
    runtime: RuntimeDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Frozen:
    """Ends a sandbox that stands still: who runs on in it then, and how much they write."""
    monkeypatch.setattr(dockersandbox, "_STOP_SECONDS", 0.1)
    (tmp_path / "work").mkdir()
    os.chown(tmp_path / "work", 64101, 64101)

    def ended() -> tuple[int, int]:
        maker = ViewMaker(runtime.path)
        view = maker.direct_view(Folder.at(tmp_path / "work"), read_only=False, exec=True)
        spec = SandboxSpec(parse(["files", "code"]), Exec.FREE, Egress.NONE, view.mount, code_image)
        sandbox = backend.create(spec)
        write = SandboxCall("w", BuiltinEntry("run_code"), {"language": "shell", "code": WRITE}, 60)

        def call() -> None:
            with suppress(SandboxLost):
                sandbox.call(write)

        writing = threading.Thread(target=call)
        writing.start()
        log = tmp_path / "work/log"
        while not log.exists() or log.stat().st_size < 1000:
            assert writing.is_alive()
        first = evidence.first_process(engine.inspect(sandbox.id))
        # On a busy machine the kernel sometimes gives up before all stand still.
        pause = ["docker", "pause", sandbox.id]
        assert any(subprocess.run(pause, check=False).returncode == 0 for _ in range(20))
        listed = proc.members(proc.member_list(first))
        try:
            sandbox.stop()
            view.close()
            before, on = log.stat().st_size, sum(map(runs_on, listed))
        finally:
            subprocess.run(["docker", "unpause", sandbox.id], check=True)
        while Path(f"/proc/{first}/root").exists():
            pass
        writing.join()
        maker.close()
        return on, log.stat().st_size - before

    return ended


def test_what_was_ended_writes_nothing_whenever_it_comes_to_its_end(frozen: Frozen) -> None:
    assert frozen() == (0, 0)


def test_twin_where_only_process_1_is_killed_the_others_write_on(
    frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FirstProcess, "_kill_all", lambda self: None)
    assert frozen()[0] > 0
