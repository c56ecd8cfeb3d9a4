"""Tries what must fail, before the first call, in processes like those that run calls.

The tool host only says what happened; the gateway judges the report.
"""

import errno
import os
import signal
from collections.abc import Sequence
from typing import NoReturn

from . import kernel, lock
from .attempts import Attempt, of_profile, of_workspace
from .settings import Settings

ALLOWED, REFUSED = "allowed", "refused"

Outcome = dict[str, str]

_REACHED = frozenset(
    {
        *(errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOENT),
        *(errno.ENOEXEC, errno.ENOTDIR, errno.ESRCH),
    }
)
"""Errors of a kernel that has looked at the arguments: nothing refused the call as such."""


def report(settings: Settings) -> list[Outcome]:
    """Try everything that this profile decides about."""
    return _try_all(of_profile(settings), settings)


def report_workspace(settings: Settings) -> list[Outcome]:
    """Try again what a workspace changes, once that is there."""
    return _try_all(of_workspace(settings), settings)


def _try_all(attempts: Sequence[Attempt], settings: Settings) -> list[Outcome]:
    """In as few children as will do: what is refused changes nothing for the next attempt."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(attempts):
        outcomes += _try(attempts[len(outcomes) :], settings)
    return outcomes


def _try(attempts: Sequence[Attempt], settings: Settings) -> list[Outcome]:
    """As far as one child comes: an attempt that succeeds may turn it into something else."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _attempt(attempts, settings, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode().splitlines()
    # It says nothing more. If it became a program that is stopped here; one that the kernel
    # killed for what it tried is dead already.
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if len(said) < len(attempts):
        said.append(f"signal {-status}" if status < 0 and status != -signal.SIGKILL else "")
    return [_outcome(*pair) for pair in zip(attempts, said, strict=False)]


def _outcome(attempt: Attempt, detail: str) -> Outcome:
    reached = detail in (errno.errorcode[code] for code in _REACHED)
    return {
        "name": attempt.name,
        "expected": REFUSED if attempt.refused else ALLOWED,
        "outcome": REFUSED if detail and not reached else ALLOWED,
        "detail": detail,
    }


def _attempt(attempts: Sequence[Attempt], settings: Settings, writing: int) -> NoReturn:
    """In the child: one line for each attempt, empty where it succeeded."""
    try:
        _leave_streams()
        if settings.exec != "free":
            kernel.install_filter(lock.call_lock(settings.exec))
        for attempt in attempts:
            os.write(writing, f"{_detail(attempt)}\n".encode())
    finally:
        os._exit(0)


def _detail(attempt: Attempt) -> str:
    try:
        attempt.act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, error.strerror or "refused")
    except BaseException as error:
        return f"broken: {error!r}"
    return ""


def _leave_streams() -> None:
    """A program that is executed finds nothing to read and speaks to nobody."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
