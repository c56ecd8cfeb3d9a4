"""Trying one attack by its name, and how it ended."""

import contextlib
import errno
import json
import os
import signal
import sys

from tests.integration.attacks.prelude import CANARY


def clear(argument: str) -> None:
    """No attack: forget an earlier canary."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(CANARY)


def owner(argument: str) -> str:
    """No attack: who left the canary."""
    return str(os.stat(CANARY).st_uid)


def attempt(name: str, argument: str = "") -> dict[str, str]:
    """Try one attack and say how it ended: the error's name, or what it gave."""
    try:
        detail = globals()[name](argument)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return {"outcome": "refused", "detail": code}
    return {"outcome": "done", "detail": str(detail or "")}


def alone(name: str, argument: str) -> dict[str, str]:
    """Try one in a process of its own, which may become a program and leave the canary."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(attempt(name, argument)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if said:
        return dict(json.loads(said))
    return {"outcome": "done" if os.path.exists(CANARY) else "silent", "detail": ""}


if __name__ == "__main__":
    # Somebody besides this process, to be attacked.
    neighbour = os.fork()
    if neighbour == 0:
        signal.pause()
    for attack, with_what in json.loads(sys.argv[1]):
        clear("")
        outcome = alone(attack, with_what)
        left = owner("") if os.path.exists(CANARY) else ""
        print(json.dumps({"name": attack, "owner": left, **outcome}))
    os.kill(neighbour, signal.SIGKILL)
