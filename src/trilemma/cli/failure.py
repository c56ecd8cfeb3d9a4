"""How a command ends when it fails: one clear line, an exit status, no traceback.

| status | meaning |
|---|---|
| 0 | done |
| 1 | an error |
| 2 | the command, the agent or the policy is written wrong |
| 3 | refused by policy before the first step |
| 4 | stopped by a limit of the run |
| 5 | the agent came to its end, but its last tool call failed |
| 130 | interrupted, or ended by ``trilemma stop`` |
"""

import io
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

from trilemma.cli.escape import block
from trilemma.errors import Cancelled, Denied, SpecError, TrilemmaError

_DEBUG = "--debug"


class Exit(IntEnum):
    """Exit statuses."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    LIMIT = 4
    CALL_FAILED = 5
    INTERRUPTED = 130


class Stop(Exception):
    """A command ends early with a line for standard error (or none) and a status."""

    def __init__(self, text: str, status: int = Exit.ERROR) -> None:
        super().__init__(text)
        self.status = status


def guarded(run: Callable[[list[str]], None]) -> NoReturn:
    """Run the command line and leave the process. ``--debug`` shows where an error comes from."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's encoding lacks is shown as an escape, never raised.
            stream.reconfigure(errors="backslashreplace")
    arguments, debug = _without_debug(sys.argv[1:])
    try:
        run(arguments)
        status = int(Exit.DONE)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = int(Exit.ERROR)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(Exit.ERROR)
    except KeyboardInterrupt:
        status = say_failed("interrupted", Exit.INTERRUPTED)
    except BaseException as error:
        if debug:
            traceback.print_exc()
        status = say_failed(describe(error), status_of(error))
    sys.exit(status)


def status_of(error: BaseException) -> int:
    """The exit status that an error means."""
    match error:
        case Stop():
            return error.status
        case SpecError():
            return Exit.USAGE
        case Denied():
            return Exit.REFUSED
        case Cancelled():
            return Exit.INTERRUPTED
        case _:
            return Exit.ERROR


def describe(error: BaseException) -> str:
    """An error as a person reads it. One that is not ours is a defect, and is called so."""
    if isinstance(error, TrilemmaError | Stop):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"internal error: {type(error).__name__}: {error}; --debug shows where"


def say_failed(text: str, status: int) -> int:
    """Print the line, if there is one."""
    if text:
        print(f"trilemma: {block(text)}", file=sys.stderr)
    return int(status)


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """``--debug`` may stand anywhere before ``--``."""
    upto = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:upto] if word != _DEBUG]
    return kept + arguments[upto:], len(kept) < upto
