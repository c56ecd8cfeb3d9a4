"""What the self-test tries, as a list: name, act, and whether this profile must refuse it."""

import os
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple

from . import kernel
from .settings import SCRATCH, WORKSPACE, Settings

_READ_IMPLIES_EXEC = 0x0400000
_SHM_EXEC, _IPC_RMID = 0o100000, 0
_PAGE, _WRITABLE, _EXECUTABLE = 4096, 3, 5
_MAP_PRIVATE, _MAP_ANONYMOUS = 0x02, 0x20
_PTRACE_ATTACH = 16
_PR_SET_DUMPABLE = 4
_AF_VSOCK, _AF_PACKET, _AF_NETLINK, _AF_ALG = 40, 17, 16, 38


class Attempt(NamedTuple):
    """One thing to try in a process like a call's child."""

    name: str
    refused: bool
    """What this profile demands."""
    act: Callable[[], object]
    """Returns where it succeeded, raises OSError where it was refused; or becomes a program."""


def of_profile(settings: Settings) -> list[Attempt]:
    """Everything to try in a sandbox with these settings."""
    free = settings.exec == "free"
    tunnel = settings.egress == "tunnel"
    return [
        # Code.
        Attempt("execute a program", not free, _execute),
        Attempt("execute a program by descriptor", not free, _execute_descriptor),
        Attempt("make a file in memory", not free, lambda: os.memfd_create("x")),
        Attempt("map anonymous memory executable", not free, _map_executable),
        Attempt("map a scratch file executable", not free, _map_scratch_file),
        Attempt("make memory executable afterwards", not free, _protect_executable),
        Attempt("make readable memory executable", True, _imply_executable),
        Attempt("write over executable memory", True, _overwrite_code),
        Attempt("attach executable shared memory", not free, _shared_executable),
        Attempt("start another process", not free, _fork),
        # Internet.
        Attempt("make a unix socket", not tunnel, lambda: socket.socket(socket.AF_UNIX)),
        Attempt("make a datagram pair", True, _datagram_pair),
        Attempt("make an IPv4 socket", not free, lambda: socket.socket(socket.AF_INET)),
        Attempt("make an IPv6 socket", not free, lambda: socket.socket(socket.AF_INET6)),
        Attempt("make a raw socket", True, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW)),
        Attempt("make a packet socket", True, lambda: socket.socket(_AF_PACKET, socket.SOCK_RAW)),
        Attempt("make a netlink socket", True, lambda: socket.socket(_AF_NETLINK, 3)),
        Attempt("make a VSOCK socket", True, lambda: socket.socket(_AF_VSOCK)),
        Attempt("make an ALG socket", True, lambda: socket.socket(_AF_ALG, 5)),
        Attempt("find an interface besides lo", True, _other_interface),
        # Files.
        Attempt("write outside scratch", True, lambda: _write("/trilemma-selftest")),
        Attempt("write scratch", False, lambda: _write(f"{SCRATCH}/.trilemma-selftest")),
        Attempt("give a file its owner's rights", True, _set_user_id),
        Attempt("open the workspace", settings.workspace == "none", _open_workspace),
        Attempt("write the workspace", settings.workspace != "rw", _write_workspace),
        # The tool host and the kernel.
        Attempt("read the tool host's memory", True, lambda: os.open("/proc/1/mem", os.O_RDONLY)),
        Attempt("read the tool host's descriptors", True, lambda: os.listdir("/proc/1/fd")),
        Attempt("trace the tool host", True, _trace),
        Attempt("become root", True, lambda: os.setuid(0)),
        Attempt("mount", True, lambda: kernel.syscall("mount", b"x", b"/tmp", b"tmpfs", 0, 0)),
        Attempt("enter a user namespace", True, lambda: kernel.syscall("unshare", 0x10000000)),
        Attempt("set up a ring", True, lambda: kernel.syscall("io_uring_setup", 1, bytes(120))),
        Attempt("handle page faults", True, lambda: kernel.syscall("userfaultfd", 0)),
        Attempt("use keys", True, lambda: kernel.syscall("keyctl", 0, -3, 1)),
        Attempt("mark a file", True, _mark),
    ]


def _execute() -> None:
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", ""], {})


def _execute_descriptor() -> None:
    fd = os.open(sys.executable, os.O_RDONLY)
    os.execve(fd, [sys.executable, "-I", "-S", "-c", ""], {})


def _map_executable() -> None:
    _map(_EXECUTABLE, _MAP_PRIVATE | _MAP_ANONYMOUS)


def _map_scratch_file() -> None:
    fd = os.open(SCRATCH, os.O_TMPFILE | os.O_RDWR)
    os.write(fd, bytes(_PAGE))
    _map(_EXECUTABLE, _MAP_PRIVATE, fd)


def _protect_executable() -> None:
    address = _map(_WRITABLE, _MAP_PRIVATE | _MAP_ANONYMOUS)
    kernel.syscall("mprotect", address, _PAGE, _EXECUTABLE)


def _map(protection: int, flags: int, fd: int = -1) -> int:
    return kernel.syscall("mmap", 0, _PAGE, protection, flags, fd, 0)


def _imply_executable() -> None:
    kernel.syscall("personality", _READ_IMPLIES_EXEC)


def _overwrite_code() -> None:
    # A process may make itself dumpable; then the file is its own.
    kernel.prctl(_PR_SET_DUMPABLE, 1)
    os.close(os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC))


def _shared_executable() -> None:
    segment = kernel.syscall("shmget", 0, _PAGE, 0o700)
    try:
        kernel.syscall("shmat", segment, 0, _SHM_EXEC)
    finally:
        kernel.syscall("shmctl", segment, _IPC_RMID, 0)


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _datagram_pair() -> None:
    for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        end.close()


def _other_interface() -> None:
    with open("/proc/net/dev") as table:
        names = {line.partition(":")[0].strip() for line in table if ":" in line}
    if names <= {"lo"}:
        raise OSError(0, "only lo")


def _write(path: str) -> None:
    # A name of its own: several sandboxes of one workspace may try at once, and an agent's code
    # may have left anything at a name that can be foreseen.
    path = f"{path}-{os.urandom(8).hex()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    os.unlink(path)


def _set_user_id() -> None:
    path = f"{SCRATCH}/.trilemma-set-id"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.chmod(path, 0o4700)
    finally:
        os.unlink(path)


def _open_workspace() -> None:
    """The image has an empty folder there to mount on; only a mount is a workspace."""
    if os.stat(WORKSPACE).st_dev == os.stat("/").st_dev:
        raise OSError(0, "not mounted")
    os.listdir(WORKSPACE)


def _write_workspace() -> None:
    _write(f"{WORKSPACE}/.trilemma-selftest")


def _trace() -> None:
    kernel.syscall("ptrace", _PTRACE_ATTACH, 1, 0, 0)


def _mark() -> None:
    path = f"{SCRATCH}/.trilemma-mark"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.setxattr(path, "user.trilemma", b"x")
    finally:
        os.unlink(path)
