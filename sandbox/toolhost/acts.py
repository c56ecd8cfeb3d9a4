"""How the self-test tries each thing. An act returns where it succeeded and raises OSError where
it was refused; some turn the process that tries them into another program.

Arguments are such that nothing but a refusal stops the call, or that the kernel complains about
them only after nothing refused it.
"""

import os
import resource
import socket
from collections.abc import Callable
from errno import EPERM

from . import kernel
from .settings import SCRATCH, WORKSPACE

_READ_IMPLIES_EXEC = 0x0400000
_SHM_EXEC, _IPC_RMID = 0o100000, 0
_PAGE, _WRITABLE, _EXECUTABLE = 4096, 3, 5
_MAP_PRIVATE, _MAP_ANONYMOUS = 0x02, 0x20
_PTRACE_ATTACH = 16
_PR_SET_DUMPABLE = 4
_OWN_PROGRAM = "/proc/self/exe"
_DEVICES = frozenset(
    (
        *("core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random"),
        *("shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"),
    )
)
"""What the Engine puts into ``/dev`` of every container."""


def execute() -> None:
    """The running program once more."""
    os.execve(_OWN_PROGRAM, [_OWN_PROGRAM], {})


def execute_descriptor() -> None:
    """The same, without a path."""
    os.execve(os.open(_OWN_PROGRAM, os.O_RDONLY), [_OWN_PROGRAM], {})


def map_executable() -> None:
    """Fresh memory that is executable from the start."""
    _map(_EXECUTABLE, _MAP_PRIVATE | _MAP_ANONYMOUS)


def map_scratch_file() -> None:
    """As a library is loaded, from a place that can be written to."""
    fd = os.open(SCRATCH, os.O_TMPFILE | os.O_RDWR)
    os.write(fd, bytes(_PAGE))
    _map(_EXECUTABLE, _MAP_PRIVATE, fd)


def protect_executable() -> None:
    """Written first, executable afterwards."""
    address = _map(_WRITABLE, _MAP_PRIVATE | _MAP_ANONYMOUS)
    kernel.syscall("mprotect", address, _PAGE, _EXECUTABLE)


def protect_with_key() -> None:
    """The same through the younger call."""
    address = _map(_WRITABLE, _MAP_PRIVATE | _MAP_ANONYMOUS)
    kernel.syscall("pkey_mprotect", address, _PAGE, _EXECUTABLE, -1)


def _map(protection: int, flags: int, fd: int = -1) -> int:
    return kernel.syscall("mmap", 0, _PAGE, protection, flags, fd, 0)


def imply_executable() -> None:
    """Every readable mapping from now on is executable."""
    kernel.syscall("personality", _READ_IMPLIES_EXEC)


def overwrite_code() -> None:
    """A process may make itself dumpable; then the file of its memory is its own."""
    kernel.prctl(_PR_SET_DUMPABLE, 1)
    try:
        os.close(os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC))
    finally:
        kernel.prctl(_PR_SET_DUMPABLE, 0)


def shared_executable() -> None:
    """System V shared memory has protections of its own."""
    segment = kernel.syscall("shmget", 0, _PAGE, 0o700)
    try:
        kernel.syscall("shmat", segment, 0, _SHM_EXEC)
    finally:
        kernel.syscall("shmctl", segment, _IPC_RMID, 0)


def fork() -> None:
    """A process more."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def datagram_pair() -> None:
    """A pair that can be pointed at any socket file afterwards."""
    for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        end.close()


def make_socket(family: int, kind: int = socket.SOCK_STREAM) -> None:
    """A socket of any family."""
    socket.socket(family, kind).close()


def connect_pair() -> None:
    """Aim a socket that is there already at a name; only the call itself is tried."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        kernel.syscall("connect", ours.fileno(), b"\1\0", 1)


def other_interface() -> None:
    """A network interface that leads anywhere."""
    with open("/proc/net/dev") as table:
        names = {line.partition(":")[0].strip() for line in table if ":" in line}
    if names <= {"lo"}:
        raise OSError(0, "only lo")


def write(path: str) -> None:
    """A new file, under a name of its own.

    Several sandboxes of one workspace may try at once, and an agent's code may have left
    anything at a name that can be foreseen.
    """
    path = f"{path}-{os.urandom(8).hex()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    os.unlink(path)


def make_node(kind: int, device: int = 0) -> None:
    """A fifo or a device in the scratch."""
    path = f"{SCRATCH}/.trilemma-node"
    os.mknod(path, kind | 0o600, device)
    os.unlink(path)


def set_user_id() -> None:
    """A program that runs with its owner's rights on the host."""
    path = f"{SCRATCH}/.trilemma-set-id"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.chmod(path, 0o4700)
    finally:
        os.unlink(path)


def mark() -> None:
    """An extended attribute, as a workspace's identity is."""
    path = f"{SCRATCH}/.trilemma-mark"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.setxattr(path, "user.trilemma", b"x")
    finally:
        os.unlink(path)


def open_workspace() -> None:
    """The image may have an empty folder there to mount on; only a mount is a workspace."""
    if not os.path.isdir(WORKSPACE) or os.stat(WORKSPACE).st_dev == os.stat("/").st_dev:
        raise OSError(0, "not mounted")
    os.listdir(WORKSPACE)


def write_workspace() -> None:
    """A new file in the workspace."""
    if not os.path.isdir(WORKSPACE):
        raise OSError(0, "not mounted")
    write(f"{WORKSPACE}/.trilemma-selftest")


def open_of_host(name: str) -> None:
    """Something of the tool host: its memory, its environment, its folders."""
    _of_either(lambda pid: os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)))


def read_host_memory() -> None:
    """Across processes, without a file."""
    _of_either(lambda pid: kernel.syscall("process_vm_readv", pid, 0, 0, 0, 0, 0))


def trace() -> None:
    """As a debugger does."""
    _of_either(lambda pid: kernel.syscall("ptrace", _PTRACE_ATTACH, pid, 0, 0))


def _of_either(act: Callable[[int], object]) -> None:
    """Of the tool host and of process 1, which may be another; one success is enough."""
    refused: OSError | None = None
    for process in sorted({1, os.getppid()}):
        try:
            act(process)
        except OSError as error:
            refused = error
        else:
            return
    if refused is not None:
        raise refused


def other_device() -> None:
    """A device that not every container has."""
    names = set(os.listdir("/dev"))
    if names <= _DEVICES:
        raise OSError(0, "none but the usual")


def see_hardware() -> None:
    """What ``/sys`` would tell of the host."""
    if not os.listdir("/sys"):
        raise OSError(0, "empty")


def change_kernel() -> None:
    """What runs on the host when a process dumps core."""
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY | os.O_CLOEXEC))


def raise_limit() -> None:
    """More open files than the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))
    except ValueError as error:
        raise OSError(EPERM, str(error)) from None
