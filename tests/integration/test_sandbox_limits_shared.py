"""What the kernel counts for a user, in all sandboxes together, is no way to stop another one."""

import itertools
import threading

import pytest

from trilemma.errors import SandboxLost
from trilemma.policy.capability import parse
from trilemma.sandbox import container
from trilemma.sandbox.base import BuiltinEntry, CallResult, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

HOARD = """
import array, os, socket, time
kept = []
null = os.open("/dev/null", os.O_RDONLY)
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 250))
try:
    while True:
        kept += socket.socketpair()
        kept[-1].sendmsg([b"x"], [rights])
except OSError as error:
    kept.append(error)
time.sleep(3600)
"""
"""Sends itself descriptors that it never takes, until it may send no more."""

FULL = """
import array, socket, time
one, other = socket.socketpair()
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))
while True:
    try:
        one.sendmsg([b"x"], [rights])
    except OSError as error:
        print(error.errno)
        break
    other.recvmsg(1, 100)
    time.sleep(0.05)
"""
"""Says when nobody like itself may send a descriptor any more."""

calls = itertools.count()


def python(sandbox: Sandbox, code: str, seconds: float = 30) -> CallResult:
    call_id = f"shared-{next(calls)}"
    arguments = {"language": "python", "code": code}
    return sandbox.call(SandboxCall(call_id, BuiltinEntry("run_code"), arguments, seconds))


def beside_a_hoard(backend: DockerBackend, image: str) -> CallResult:
    """A call in one sandbox while another one hoards what may be on its way."""
    spec = SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image)
    hoarding, other = backend.create(spec), backend.create(spec)
    assert python(other, "print(1)").value["stdout"] == "1\n"
    thread = threading.Thread(target=python, args=(hoarding, HOARD, 8))
    thread.start()
    try:
        # A process of a call may send nothing any more: the hoard is as large as it gets.
        assert python(other, FULL).value["stdout"] == "109\n"
        return python(other, "print(2)", 4)
    finally:
        thread.join()


@pytest.mark.usefixtures("base_image")
def test_descriptors_that_one_keeps_on_their_way_stop_no_other_sandbox(
    backend: DockerBackend, code_image: str
) -> None:
    assert beside_a_hoard(backend, code_image).value["stdout"] == "2\n"


@pytest.mark.usefixtures("base_image")
def test_sabotage_a_tool_host_that_may_open_no_more_than_its_calls_is_stopped(
    backend: DockerBackend, code_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "_HOST_FILES", 256)
    with pytest.raises(SandboxLost):
        beside_a_hoard(backend, code_image)
