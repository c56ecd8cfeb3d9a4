"""Process 1 of a twin: runs commands as the tool host does, but nobody answers for their execve.

Filters come as arguments, in hexadecimal: one for this process, one for each command. Reads a JSON
object a line, answers with one.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

_SET_SECCOMP, _FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def lock(program: bytes) -> None:
    """Put a filter on this process and all it starts."""
    argument = _Program(len(program) // 8, program)
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_SECCOMP, _FILTER, ctypes.byref(argument)):
        raise OSError(ctypes.get_errno(), "no filter")


def run(asked: dict[str, Any], command_lock: bytes) -> dict[str, Any]:
    """One command, with everything that it started gone afterwards."""
    done = subprocess.run(
        asked["argv"],
        env=asked["environment"],
        input=asked["stdin"],
        cwd=asked["cwd"],
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
        timeout=60,
        preexec_fn=lambda: lock(command_lock),
    )
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    return {"exit_code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def main(own: str, commands: str) -> None:
    """Answer until nobody asks."""
    lock(bytes.fromhex(own))
    for line in sys.stdin:
        asked = json.loads(line)
        if "hash" in asked:
            with open(asked["hash"], "rb") as file:
                answer = {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        else:
            answer = run(asked, bytes.fromhex(commands))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
