"""Running a program for a call: its output captured and cut, its end awaited."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from .errors import CallFailed

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
}
"""The whole environment of a program; nothing is inherited."""

_PIPE = 65536


class Output:
    """One output stream of a program, kept up to a limit."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd = fd
        self.limit = limit
        self.data = bytearray()
        self.truncated = False

    def read(self) -> bool:
        """Take what is there; False at the end. What is over the limit is read and dropped."""
        try:
            piece = os.read(self.fd, _PIPE)
        except BlockingIOError:
            return True
        room = self.limit - len(self.data)
        self.data += piece[:room]
        self.truncated = self.truncated or len(piece) > room
        return bool(piece)

    def text(self) -> str:
        """The output as text; what is not UTF-8 shows as a replacement character."""
        return self.data.decode(errors="replace")


class Finished(NamedTuple):
    """How a program ended and what it wrote."""

    exit_code: int
    """As a shell's user knows it; killed by signal N is -N."""
    stdout: str
    stderr: str
    truncated: bool
    timed_out: bool

    def as_json(self) -> dict[str, object]:
        """The form in which it travels."""
        return self._asdict()


class Program(NamedTuple):
    """A program to run."""

    executable: str
    argv: Sequence[str]
    stdin: str = ""
    environment: dict[str, str] | None = None
    seconds: float | None = None
    limit: int = 256 * 1024
    """Bytes kept of each output stream."""
    before_exec: Callable[[], None] | None = None
    """Called in the new process as the last thing before execve."""


def run(program: Program) -> Finished:
    """Run a program to its end."""
    stdin = _stdin(program.stdin)
    out, out_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    err, err_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for end in (out_end, err_end):
        os.set_blocking(end, True)
    pid = os.fork()
    if pid == 0:
        try:
            _become(program, stdin, out_end, err_end)
        except BaseException as error:
            os.write(2, f"cannot run {program.executable}: {error}\n".encode())
        finally:
            os._exit(127)
    for end in (stdin, out_end, err_end):
        os.close(end)
    stdout = Output(out, program.limit)
    stderr = Output(err, program.limit)
    timed_out = _attend(pid, (stdout, stderr), program.seconds)
    return Finished(
        exit_code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
        stdout=stdout.text(),
        stderr=stderr.text(),
        truncated=stdout.truncated or stderr.truncated,
        timed_out=timed_out,
    )


def _stdin(text: str) -> int:
    """A file, so that a program that does not read it cannot hold up the one that writes it."""
    if not text:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _become(program: Program, stdin: int, stdout: int, stderr: int) -> NoReturn:
    os.setsid()
    # Python ignores SIGPIPE, and what is ignored stays ignored over execve. SIGXFSZ stays so:
    # a program that writes too large a file sees EFBIG.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for target, fd in enumerate((stdin, stdout, stderr)):
        os.dup2(fd, target, inheritable=True)
    if program.before_exec is not None:
        program.before_exec()
    os.closerange(3, 0x7FFFFFFF)
    os.execve(program.executable, list(program.argv), program.environment or ENVIRONMENT)


def _attend(pid: int, outputs: tuple[Output, ...], seconds: float | None) -> bool:
    """Read until the program has ended; True when its time ran out first.

    Processes that it left behind may hold the pipes: they are not waited for, they are killed
    when the call ends.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    ended = os.pidfd_open(pid)
    poll = select.poll()
    by_fd = {output.fd: output for output in outputs}
    for fd in (ended, *by_fd):
        poll.register(fd, select.POLLIN)
    timed_out = False
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = {fd for fd, _ in poll.poll(left)}
        if not ready and not timed_out:
            timed_out, deadline = True, None
            _kill(pid)
        for fd in ready - {ended}:
            if not by_fd[fd].read():
                poll.unregister(fd)
        if ended in ready:
            for output in outputs:
                _drain(output)
            os.close(ended)
            return timed_out


def _kill(pid: int) -> None:
    """Kill the program and its group, which it leads only once it has come to its setsid."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


def _drain(output: Output) -> None:
    """What the program wrote before it ended; at most a pipe full, whoever goes on writing."""
    for _ in range(16):
        before = len(output.data)
        if not output.read() or len(output.data) == before:
            break
    os.close(output.fd)


def require(name: str) -> str:
    """The path of a program that the image must hold, in one of the usual folders.

    Raises:
        CallFailed: it holds none.
    """
    folders = ENVIRONMENT["PATH"].split(":")
    found = next((p for p in (f"{f}/{name}" for f in folders) if os.access(p, os.X_OK)), None)
    if found is None:
        raise CallFailed(f"this sandbox's image has no {name}: none of {', '.join(folders)} has it")
    return found
