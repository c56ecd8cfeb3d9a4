"""Lines: the socket pairs that calls travel on, one of them handed over ahead of its call.

Before a call can be sent, the tool host has to pass its line to a process. For calls that are all
alike on the way there, that is done while the call before still runs. The process at the other
end knows nothing of a call until its request comes, and ends when the line is closed instead.
"""

import itertools
import select
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

from trilemma.errors import SandboxError

from .endings import Endings

HandOver = Callable[[int, socket.socket], None]
"""Gives the tool host one end of the line with that number."""


class Line(NamedTuple):
    """The gateway's end of one call's socket pair."""

    number: int
    """What the call is called on the wire: never one twice."""
    sock: socket.socket


class Lines:
    """The lines of one channel. Safe to use from several threads."""

    def __init__(self, hand_over: HandOver, endings: Endings) -> None:
        self._hand_over = hand_over
        self._endings = endings
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._ready: Line | None = None
        self._closed = False

    def number(self) -> int:
        """A number for a call whose line is made for it alone."""
        number = next(self._numbers)
        self._endings.expect(number)
        return number

    def take(self) -> Line | None:
        """The line that stands ready; None where there is none, or its process has ended."""
        with self._lock:
            line, self._ready = self._ready, None
        if line is None or not _hung_up(line.sock):
            return line
        self._drop(line)
        return None

    def prepare(self) -> None:
        """Have a line ready for the next call. A tool host that is gone shows at that call."""
        if not self._wanted():
            return
        number = self.number()
        ours, theirs = socket.socketpair()
        line = Line(number, ours)
        try:
            with theirs:
                self._hand_over(number, theirs)
        except SandboxError:
            self._drop(line)
            return
        with self._lock:
            wanted = self._wanted()
            if wanted:
                self._ready = line
        if not wanted:
            self._drop(line)

    def close(self) -> None:
        """Close the line that nobody took; none is made ready any more."""
        with self._lock:
            self._closed = True
            line, self._ready = self._ready, None
        if line is not None:
            line.sock.close()

    def _wanted(self) -> bool:
        return self._ready is None and not self._closed

    def _drop(self, line: Line) -> None:
        line.sock.close()
        self._endings.forget(line.number)


def _hung_up(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
