"""What is asked of the Engine's filter and of ours, on programs made here."""

from pathlib import Path

import pytest

from trilemma.errors import SandboxError
from trilemma.sandbox import bpfrun
from trilemma.sandbox.container import Settings
from trilemma.sandbox.engine_filter import holes
from trilemma.sandbox.locked import of_filters
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec
from trilemma.sandbox.toolhost import lock
from trilemma.sandbox.toolhost.bpf import Rule, assemble

ALLOW_ALL = assemble(())
SETTINGS = Settings(
    SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, "sha256:" + "1" * 64),
    "trilemma-x",
    "instance",
    Path("/run/x"),
    "trilemma-host-x",
)
HOST, CALL = lock.host_lock("never", "none"), lock.call_lock("never")


def test_a_filter_that_refuses_nothing_is_full_of_holes() -> None:
    found = holes(ALLOW_ALL, Exec.NEVER)
    assert {"mount", "bpf", "memfd_create", "a VSOCK socket", "an IPv4 socket"} <= set(found)
    assert "a new user namespace" in found
    assert "prctl to be traced" in found
    # Our own programs kill what another architecture asks, so that is no hole of this one.
    assert "the calls of another architecture" not in found


def test_code_may_have_sockets_and_memory_files_and_nothing_more() -> None:
    more = set(holes(ALLOW_ALL, Exec.NEVER)) - set(holes(ALLOW_ALL, Exec.FREE))
    assert {"memfd_create", "execveat", "bind", "an IPv4 socket"} <= more
    assert not more & {"mount", "bpf", "a raw IPv4 socket", "a packet socket"}


def test_refusing_one_call_closes_one_hole() -> None:
    closed = set(holes(ALLOW_ALL, Exec.NEVER)) - set(holes(assemble([Rule("bpf")]), Exec.NEVER))
    assert closed == {"bpf"}


@pytest.mark.parametrize(
    ("programs", "finding"),
    [
        ((), "the lock"),
        ((ALLOW_ALL,), "the lock"),
        ((ALLOW_ALL, ALLOW_ALL), "the lock"),
        ((HOST,), "the lock"),
        ((ALLOW_ALL, HOST), "lets through"),
        ((ALLOW_ALL, HOST, ALLOW_ALL), "after the lock"),
    ],
    ids=["none", "the Engine's", "as many as there should be", "no Engine's", "holes", "one more"],
)
def test_a_thread_that_is_not_locked_as_it_must_be(
    programs: tuple[bytes, ...], finding: str
) -> None:
    assert any(finding in str(found) for found in of_filters({7: programs}, SETTINGS))


def test_a_kernel_that_does_not_tell_is_no_finding() -> None:
    assert list(of_filters(None, SETTINGS)) == []


def test_a_program_without_an_end_is_refused() -> None:
    with pytest.raises(SandboxError, match="without an end"):
        bpfrun.verdict(ALLOW_ALL[:8], 1, 2)
    with pytest.raises(SandboxError, match="unknown instruction"):
        bpfrun.verdict(b"\xff" * 8, 1, 2)
