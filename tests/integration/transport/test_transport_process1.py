"""Process 1 of a sandbox on stdio: code beside it reaches neither its streams nor its memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxError, SandboxLost, SandboxRefused
from trilemma.policy.capability import parse
from trilemma.sandbox import container, docker as backend_module
from trilemma.sandbox.base import BuiltinEntry, CallResult, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.proc import processes
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.stdiotransport import StdioTransport

pytestmark = [pytest.mark.docker]

OPEN_TO_ALL = """
import sys
sys.path.append("/opt/trilemma")
from toolhost import kernel, stdio
kernel.become_opaque = lambda: None
sys.exit(stdio.main(sys.argv[2:]))
"""
"""Process 1 as it is, but for the one call that closes it to others."""


@pytest.fixture
def stdio(runtime: RuntimeDir, engine: Engine) -> Iterator[DockerBackend]:
    backend = DockerBackend(runtime, transport=StdioTransport)
    yield backend
    backend.close()


def spec(image: str, execution: Exec = Exec.FREE) -> SandboxSpec:
    names = ["code"] if execution is Exec.FREE else []
    return SandboxSpec(parse(names), execution, Egress.NONE, None, image)


def run(sandbox: Sandbox, code: str) -> CallResult:
    arguments = {"language": "python", "code": code}
    return sandbox.call(SandboxCall("call", BuiltinEntry("run_code"), arguments, 20))


SPEAK_FOR_PROCESS_1 = """
with open("/proc/1/fd/1", "wb", buffering=0) as output:
    output.write(bytes(7))
"""
"""Seven bytes into the stream that leads to the gateway."""

LOOK_INTO_THE_TOOL_HOST = """
import os
fields = open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()
assert fields[1] != "1", "the tool host is not process 1 here"
open(f"/proc/{fields[1]}/mem", "rb")
"""

REACH = [
    SPEAK_FOR_PROCESS_1,
    "open('/proc/1/fd/0', 'rb')",
    "open('/proc/1/mem', 'rb')",
    "import os; print(os.listdir('/proc/1/fd'))",
    LOOK_INTO_THE_TOOL_HOST,
]


@pytest.mark.parametrize("code", REACH)
def test_code_does_not_reach_process_1(stdio: DockerBackend, code_image: str, code: str) -> None:
    sandbox = stdio.create(spec(code_image))
    result = run(sandbox, code)
    assert result.value["exit_code"] == 1
    assert "PermissionError" in result.value["stderr"]
    assert run(sandbox, "print('still there')").value["stdout"] == "still there\n"


STOP_THE_TOOL_HOST = """
import os, signal, time
def parent(process):
    return int(open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1])
(host,) = [int(p) for p in os.listdir("/proc") if p.isdigit() and p != "1" and parent(p) == 1]
for _ in range(TIMES):
    os.kill(host, signal.SIGSTOP)
print("stopped")
"""


def test_a_tool_host_that_code_stops_goes_on_at_once(stdio: DockerBackend, code_image: str) -> None:
    sandbox = stdio.create(spec(code_image))
    for times in ("1", "1000"):
        stopped = run(sandbox, STOP_THE_TOOL_HOST.replace("TIMES", times))
        assert stopped.value["stdout"] == "stopped\n"
    assert not sandbox.lost


HELD = """
import sys
sys.path.append("/opt/trilemma")
from toolhost import stdio
stdio._keep_going = lambda host: None
sys.exit(stdio.main(sys.argv[2:]))
"""


def test_twin_a_process_1_that_lets_it_stand_still_loses_the_sandbox(
    stdio: DockerBackend, code_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken(monkeypatch, HELD)
    sandbox = stdio.create(spec(code_image))
    arguments = {"language": "python", "code": STOP_THE_TOOL_HOST.replace("TIMES", "1")}
    with pytest.raises(SandboxLost):
        sandbox.call(SandboxCall("call", BuiltinEntry("run_code"), arguments, 1))


def weaken(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(container, "ENTRYPOINT", (*container.ENTRYPOINT[:-1], "-c", program))


def test_a_process_1_that_is_open_is_refused(
    stdio: DockerBackend, code_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken(monkeypatch, OPEN_TO_ALL)
    with pytest.raises(SandboxRefused, match="read the tool host's"):
        stdio.create(spec(code_image))


def test_twin_without_that_check_code_speaks_for_process_1(
    stdio: DockerBackend, code_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken(monkeypatch, OPEN_TO_ALL)
    monkeypatch.setattr(backend_module, "verify", lambda evidence, settings: None)
    sandbox = stdio.create(spec(code_image))
    # What it says is no message: its sandbox is lost, and nobody else's.
    with pytest.raises(SandboxLost):
        run(sandbox, SPEAK_FOR_PROCESS_1)


SABOTAGE: dict[str, Callable[[dict[str, Any]], None]] = {
    "privileged": lambda host: host.update(Privileged=True),
    "writable root": lambda host: host.update(ReadonlyRootfs=False),
    "host processes": lambda host: host.update(PidMode="host"),
    "host names": lambda host: host.update(UTSMode="host"),
    "no seccomp": lambda host: host.update(
        SecurityOpt=["no-new-privileges:true", "seccomp=unconfined"]
    ),
    "another mount": lambda host: host.update(
        Mounts=[
            *host["Mounts"],
            {"Type": "bind", "Source": "/etc", "Target": "/mnt", "ReadOnly": True},
        ]
    ),
    "another user": lambda host: None,
}


@pytest.mark.parametrize("kind", SABOTAGE)
@pytest.mark.parametrize("witness", ["both", "the tool host alone"])
def test_a_stronger_container_is_refused_and_gone(
    stdio: DockerBackend,
    base_image: str,
    engine: Engine,
    runtime: RuntimeDir,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    witness: str,
) -> None:
    """Even where what the Engine says were not compared at all."""
    honest = container.configuration

    def sabotaged(settings: container.Settings) -> dict[str, Any]:
        config = honest(settings)
        SABOTAGE[kind](config["HostConfig"])
        if kind == "another user":
            config["User"] = "1234:1234"
        if kind == "host names":
            del config["Hostname"]
        return config

    monkeypatch.setattr(backend_module, "configuration", sabotaged)
    if witness != "both":
        monkeypatch.setattr("trilemma.sandbox.verify.compare", lambda *known: iter(()))
    # Where it is not process 1 it does not begin to serve.
    with pytest.raises((SandboxRefused, SandboxLost)):
        stdio.create(spec(base_image, Exec.NEVER))
    assert engine.containers(f"dev.trilemma.instance={runtime.instance}") == ()


@pytest.mark.root
def test_process_1_carries_the_lock_of_its_profile(
    stdio: DockerBackend, base_image: str, engine: Engine
) -> None:
    sandbox = stdio.create(spec(base_image, Exec.NEVER))
    found = processes(first_process(engine.inspect(sandbox.id)))
    assert len(found) >= 2
    assert all(process.filters >= 2 for process in found)


def test_the_engines_count_of_processes_is_compared(
    stdio: DockerBackend, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "processes", lambda self, container: 7)
    with pytest.raises(SandboxRefused, match="its engine sees 7 processes"):
        stdio.create(spec(base_image, Exec.NEVER))


def test_folders_of_this_machine_are_not_looked_for_elsewhere(
    stdio: DockerBackend, base_image: str, tmp_path: Path
) -> None:
    assert not stdio.late
    mount = Mount(tmp_path, read_only=True, uid=1000, gid=1000)
    asked = SandboxSpec(parse(["files"]), Exec.NEVER, Egress.NONE, mount, base_image)
    with pytest.raises(SandboxError, match="does not see the folder"):
        stdio.create(asked)
