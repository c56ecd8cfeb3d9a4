"""Filters are read back from the kernel: of one lock that is weaker, nothing else would tell."""

import os
import signal
import subprocess
import time

import pytest

from trilemma.errors import SandboxRefused
from trilemma.sandbox import container, evidence, filters, proc
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.engine_filter import holes
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec
from trilemma.sandbox.toolhost import lock

pytestmark = [pytest.mark.docker, pytest.mark.root]

WEAKER = """
import sys
sys.path.append("/opt/trilemma")
from toolhost import bpf, catalog, host, lock, selftest
# As many filters as ever, of the same length; this one refuses a call that nobody makes.
weak = bpf.assemble([bpf.Rule("uselib")] * 80)
lock.host_lock = lambda exec, egress: weak
# And a self-test that lies.
honest = selftest.of_profile
selftest._detail = lambda attempt: "EPERM" if attempt.refused else ""
def run(name, arguments, context):
    import os
    leave = "open('/tmp/canary', 'w'); raise SystemExit(3)"
    # The program that runs is the loader.
    loader = ["x", "--library-path", "/opt/trilemma/lib", "/opt/trilemma/usr/bin/python3.11"]
    os.execve("/proc/self/exe", [*loader, "-I", "-c", leave], {})
catalog.run = run
sys.exit(host.main([]))
"""


def spec(image: str) -> SandboxSpec:
    return SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, image)


def first_of(engine: Engine, sandbox: str) -> int:
    return evidence.first_process(engine.inspect(sandbox))


def test_what_the_kernel_holds_is_the_engines_filter_and_our_lock(
    backend: DockerBackend, engine: Engine, base_image: str
) -> None:
    sandbox = backend.create(spec(base_image))
    pid = first_of(engine, sandbox.id)
    found = filters.read_all(process.pid for process in proc.processes(pid))
    assert found is not None
    assert found[pid][1:] == (lock.host_lock("never", "none"),)
    for programs in found.values():
        assert holes(programs[0], Exec.NEVER) == ()
        assert programs[1] == lock.host_lock("never", "none")
    # Reading has disturbed nobody.
    result = sandbox.call(SandboxCall("1", BuiltinEntry("list_files"), {"path": "."}, 10))
    assert result.error is not None
    assert result.error.code != "lost"


def make_weaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool host that is locked less, in a container that is as it must be."""
    monkeypatch.setattr(container, "ENTRYPOINT", (*container.ENTRYPOINT[:-1], "-c", WEAKER))


def test_a_weaker_lock_is_refused(
    backend: DockerBackend, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_weaker(monkeypatch)
    with pytest.raises(SandboxRefused, match=r"the lock is .* not 'ours"):
        backend.create(spec(base_image))


def test_twin_without_reading_it_back_a_weaker_lock_serves_calls_and_executes(
    backend: DockerBackend, engine: Engine, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_weaker(monkeypatch)
    monkeypatch.setattr(evidence, "read_all", lambda processes: None)
    sandbox = backend.create(spec(base_image))
    sandbox.call(SandboxCall("1", BuiltinEntry("list_files"), {}, 10))
    assert os.path.exists(f"/proc/{first_of(engine, sandbox.id)}/root/tmp/canary")


def test_a_signal_that_arrives_meanwhile_is_not_lost() -> None:
    program = "trap 'echo heard; exit' USR1; echo ready; while :; do :; done"
    with subprocess.Popen(["/bin/sh", "-c", program], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        with filters._standing_still(shell.pid):
            shell.send_signal(signal.SIGUSR1)
        assert shell.stdout.readline() == "heard\n"


def test_it_takes_less_than_two_milliseconds(
    backend: DockerBackend, engine: Engine, base_image: str
) -> None:
    pid = first_of(engine, backend.create(spec(base_image)).id)
    processes = [process.pid for process in proc.processes(pid)]
    took = []
    for _ in range(20):
        started = time.perf_counter()
        filters.read_all(processes)
        took.append(time.perf_counter() - started)
    assert sorted(took)[10] < 0.002


def test_a_process_that_is_gone_has_none() -> None:
    with subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()
    assert filters.read_all([ended.pid]) == {}
