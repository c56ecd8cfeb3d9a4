"""Asking a running gateway, from another process, to end one of its sessions.

A request is an empty file in the gateway's runtime directory, which is private to its user:
whoever can write there may end its sessions. The gateway looks there a few times a second.
"""

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from trilemma.errors import SandboxError

_FOLDER = "stops"
_SESSION = re.compile(r"ses_[0-9a-f]{16}")
_EVERY = 0.2


def request_stop(runtime: Path, session: str) -> None:
    """Ask the gateway whose runtime directory this is to end a session.

    Raises:
        SandboxError: there is no such gateway any more.
    """
    try:
        (runtime / _FOLDER / session).touch(mode=0o600)
    except OSError as error:
        raise SandboxError(
            f"the gateway of session {session!r} cannot be asked ({error.strerror}); "
            "if it is dead, 'trilemma clean' ends its sessions"
        ) from None


class StopWatch:
    """Passes requests on. ``stop`` says whether it knew the session."""

    def __init__(self, runtime: Path, stop: Callable[[str], bool]) -> None:
        self._folder = runtime / _FOLDER
        self._stop = stop
        self._ended = threading.Event()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._thread = threading.Thread(target=self._watch, name="trilemma-stops", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            try:
                self._look()
            except OSError:
                # The directory is being removed: this gateway ends.
                return

    def _look(self) -> None:
        for name in os.listdir(self._folder):
            # A session that is not known yet may be opening just now: its request stays.
            if _SESSION.fullmatch(name) and self._stop(name):
                (self._folder / name).unlink(missing_ok=True)
