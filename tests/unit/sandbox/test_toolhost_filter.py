"""The lock as the kernel would run it: the programs themselves, interpreted here."""

import errno
import os

import pytest
from hypothesis import given, strategies as st

from trilemma.sandbox import bpfrun
from trilemma.sandbox.bpfrun import ALLOW, ASK, KILL_PROCESS
from trilemma.sandbox.toolhost import lock
from trilemma.sandbox.toolhost.bpf import NOTIFY, Rule, Test as Condition, assemble
from trilemma.sandbox.toolhost.syscalls import AUDIT_ARCH, MACHINE, NEWEST, NUMBERS, number

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
NAMES = st.sampled_from(sorted(NUMBERS[MACHINE]))


def verdict(program: bytes, nr: int, *arguments: int, arch: int = AUDIT_ARCH[MACHINE]) -> int:
    return bpfrun.verdict(program, nr, arch, *arguments)


def refused(program: bytes, name: str, *arguments: int) -> bool:
    return verdict(program, number(name), *arguments) != ALLOW


rules = st.builds(
    Rule,
    NAMES,
    st.sampled_from([errno.EPERM, errno.ENOSYS, NOTIFY]),
    st.lists(st.builds(Condition, st.integers(0, 5), U32, U32, st.booleans()), max_size=3).map(
        tuple
    ),
)


@given(st.lists(rules, max_size=12), NAMES, st.lists(U64, min_size=6, max_size=6))
def test_a_program_does_what_its_rules_say(
    rules: list[Rule], name: str, arguments: list[int]
) -> None:
    expected = ALLOW
    for rule in rules:
        if rule.syscall == name and all(
            ((arguments[t.argument] & t.mask & 0xFFFFFFFF) == t.value) == t.equal
            for t in rule.tests
        ):
            expected = ASK if rule.error == NOTIFY else 0x00050000 | rule.error
            break
    assert verdict(assemble(rules), number(name), *arguments) == expected


@given(U32, U32.filter(lambda arch: arch != AUDIT_ARCH[MACHINE]))
def test_another_architecture_is_killed(nr: int, arch: int) -> None:
    assert verdict(assemble(()), nr, arch=arch) == KILL_PROCESS


@given(st.integers(NEWEST + 1, 2**32 - 1))
def test_calls_nobody_has_heard_of_are_absent(nr: int) -> None:
    assert verdict(assemble(()), nr) == 0x00050000 | errno.ENOSYS


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("mode", ["never", "once", "free"])
@pytest.mark.parametrize("egress", ["none", "structured", "tunnel"])
def test_every_lock_can_be_assembled(
    machine: str, mode: str, egress: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rule in (*lock.ALWAYS, *lock.ALONE, *lock.NO_SOCKETS, *lock.NO_NEW_CODE, *lock.NO_EXEC):
        assemble([rule], machine)
    # BPF_MAXINSNS, and a jump reaches 255 instructions at most.
    assert len(lock.host_lock(mode, egress)) // 8 < 4096


EXEC = 4


@pytest.mark.parametrize(
    "program", [lock.host_lock("never", "none"), lock.call_lock("once")], ids=["never", "once"]
)
def test_the_lock_leaves_no_way_to_new_code(program: bytes) -> None:
    assert refused(program, "execve")
    assert refused(program, "execveat")
    assert refused(program, "memfd_create")
    assert refused(program, "memfd_secret")
    assert refused(program, "shmat", 0, 0, 0o100000)
    for name in ("mmap", "mprotect", "pkey_mprotect"):
        assert refused(program, name, 0, 4096, EXEC)
        assert refused(program, name, 0, 4096, 7 | 1 << 40)
    assert not refused(program, "mmap", 0, 4096, 3)
    assert not refused(program, "mprotect", 0, 4096, 3)


@pytest.mark.parametrize("mode", ["never", "once", "free"])
def test_no_sandbox_can_reach_into_processes_or_namespaces(mode: str) -> None:
    program = lock.host_lock(mode, "none")
    for name in (
        *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "unshare", "setns"),
        *("io_uring_setup", "userfaultfd", "bpf", "keyctl", "perf_event_open", "clone3"),
    ):
        assert refused(program, name)
    for bit in (17, *range(25, 31)):
        assert refused(program, "clone", 1 << bit | 17)
    assert not refused(program, "clone", 17)


@pytest.mark.parametrize("mode", ["never", "once", "free"])
@given(st.integers(0, 0o7777))
def test_no_file_runs_with_its_owners_rights(mode: str, permissions: int) -> None:
    program, gives = lock.host_lock(mode, "none"), bool(permissions & 0o6000)
    assert refused(program, "fchmod", 3, permissions) == gives
    assert refused(program, "fchmodat", 3, 0, permissions) == gives
    assert refused(program, "fchmodat2", 3, 0, permissions) == gives
    for creating in (os.O_CREAT | os.O_RDWR, os.O_TMPFILE | os.O_RDWR):
        assert refused(program, "openat", 3, 0, creating, permissions) == gives
    # Without them the kernel does not look at the mode, and it may be anything.
    assert not refused(program, "openat", 3, 0, os.O_RDONLY | os.O_DIRECTORY, permissions)
    if MACHINE == "x86_64":
        assert refused(program, "chmod", 0, permissions) == gives
        assert refused(program, "creat", 0, permissions) == gives
        assert refused(program, "open", 0, os.O_CREAT, permissions) == gives


def test_a_command_maps_libraries_but_never_to_write_over_them() -> None:
    program, private, anonymous = lock.command_lock(), 2, 0x22
    assert not refused(program, "mmap", 0, 4096, 1 | EXEC, private)
    assert not refused(program, "mmap", 0, 4096, 1 | 2, private)
    assert refused(program, "mmap", 0, 4096, 1 | 2 | EXEC, private)
    assert refused(program, "mmap", 0, 4096, 1 | EXEC, anonymous)
    assert refused(program, "mprotect", 0, 4096, 1 | EXEC)


@pytest.mark.parametrize(
    "program", [lock.host_lock("free", "none"), lock.module_lock(), lock.command_lock()]
)
def test_no_mode_hides_in_memory(program: bytes) -> None:
    assert refused(program, "openat2")


@given(st.integers(0, 0xFFFFFFFE))
def test_no_personality_makes_readable_memory_executable(persona: int) -> None:
    for mode in ("never", "once", "free"):
        assert refused(lock.host_lock(mode, "none"), "personality", persona)


@given(U64)
def test_a_locked_child_starts_threads_and_nothing_else(flags: int) -> None:
    program = lock.call_lock("never")
    assert refused(program, "clone", flags) == (not flags & 0x10000)
    if MACHINE == "x86_64":
        assert refused(program, "fork")
        assert refused(program, "vfork")


@given(st.integers(1, 2**31 - 1))
def test_a_locked_child_reaches_no_other_process(pid: int) -> None:
    program = lock.call_lock("never")
    assert refused(program, "kill", pid, 9)
    assert refused(program, "tgkill", pid, pid, 9)
    assert refused(program, "pidfd_send_signal", pid, 9)
    assert refused(program, "prlimit64", pid)
    assert not refused(program, "prlimit64", 0)
    for command in (8, 10, 15):
        assert refused(program, "fcntl", 3, command, pid)
    assert not refused(program, "fcntl", 3, 1)


@given(st.integers(0, 60), st.integers(0, 2**31 - 1))
def test_sockets_of_code_are_of_known_families(family: int, kind: int) -> None:
    alone, tunnel = lock.host_lock("free", "none"), lock.host_lock("free", "tunnel")
    assert refused(alone, "socket", family, kind) == (family not in (2, 10))
    assert refused(tunnel, "socket", family, kind) == (family not in (1, 2, 10))
    assert refused(lock.host_lock("never", "structured"), "socket", family, kind)


@given(st.integers(0, 2**20))
def test_only_stream_pairs_are_made(kind: int) -> None:
    for mode in ("never", "once", "free"):
        assert refused(lock.host_lock(mode, "none"), "socketpair", 1, kind) == (kind & 0xF != 1)


def test_a_vetted_command_asks_before_each_execve_and_maps_only_files() -> None:
    program = lock.command_lock()
    assert verdict(program, number("execve")) == ASK
    assert verdict(program, number("execveat")) == ASK
    assert refused(program, "mmap", 0, 4096, EXEC, 0x22)
    assert not refused(program, "mmap", 0, 4096, EXEC, 0x02)
    assert refused(program, "mprotect", 0, 4096, EXEC)
