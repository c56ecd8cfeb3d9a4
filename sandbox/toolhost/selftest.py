"""Tries what must fail, before the first call, in processes like those that run calls.

The tool host only says what happened; the gateway judges the report.
"""

import errno
import os
from typing import NoReturn

from . import kernel, lock
from .attempts import Attempt, of_profile
from .settings import Settings

ALLOWED, REFUSED = "allowed", "refused"

Outcome = dict[str, str]


def report(settings: Settings) -> list[Outcome]:
    """Try everything that this profile decides about."""
    return [_try(attempt, settings) for attempt in of_profile(settings)]


def _try(attempt: Attempt, settings: Settings) -> Outcome:
    """One attempt in a child of its own: one that succeeds may turn it into something else."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _attempt(attempt, settings, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        detail = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {
        "name": attempt.name,
        "expected": REFUSED if attempt.refused else ALLOWED,
        # A child that said nothing became a program, or was killed by what it tried.
        "outcome": REFUSED if detail or status < 0 else ALLOWED,
        "detail": detail or (f"signal {-status}" if status < 0 else ""),
    }


def _attempt(attempt: Attempt, settings: Settings, writing: int) -> NoReturn:
    try:
        if settings.exec != "free":
            kernel.install_filter(lock.call_lock(settings.exec))
        attempt.act()
    except OSError as error:
        detail = errno.errorcode.get(error.errno or 0, error.strerror or "refused")
        os.write(writing, detail.encode())
    except BaseException as error:
        os.write(writing, f"broken: {error!r}".encode())
    os._exit(0)
