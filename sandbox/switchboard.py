"""The gateway's half of a pair of switchboards: a control socket for one sandbox that shares none.

What is on the other side may have become anybody's. So every message is checked, memory is
bounded, and all that the other side can open is a connection to the egress proxy's socket of this
very sandbox, where it may tunnel.
"""

import os
import socket
import threading
import time
from pathlib import Path

from .toolhost.pipes import Bytes
from .toolhost.stream import Stream
from .toolhost.switchboard import Switchboard
from .toolhost.wire import (
    ALIVE,
    DATA,
    MOST_PASSED,
    OPEN,
    PASS,
    SIGN,
    Message,
    WireError,
    pack_passed,
)

_TUNNELS = 64
"""Tunnels that may exist at once, those included that only wait to be read."""
_EGRESS_SOCKET = "egress.sock"


class Outside(Switchboard):
    """The half beside the gateway."""

    def __init__(self, line: Bytes, control: socket.socket, exchange: Path | None) -> None:
        """``exchange`` is the folder with the egress proxy's socket, where there may be tunnels."""
        super().__init__(line, control)
        self._exchange = exchange
        self._next = 2
        self._sign = time.monotonic() + SIGN

    def _look_at_the_clock(self, now: float) -> None:
        if now >= self._sign:
            self._sign = now + SIGN
            self._say(ALIVE, self._control)

    def _take(self, stream: Stream) -> None:
        if stream is not self._control:
            super()._take(stream)
            return
        received = stream.receive(MOST_PASSED)
        if received is None:
            return
        if received.fds:
            numbers = tuple(self._pass(fd) for fd in received.fds)
            self._say(PASS, stream, pack_passed(numbers, received.data))
        elif received.data:
            self._say(DATA, stream, received.data)
        else:
            self._end(stream)

    def _pass(self, fd: int) -> int:
        number = self._next
        self._next += 2
        self._add(number, socket.socket(fileno=fd))
        return number

    def _do_more(self, message: Message) -> None:
        kind, number, _ = message
        if kind != OPEN or number % 2 == 0 or self._exchange is None:
            raise WireError(f"kind {kind} is not the sandbox's to send")
        if sum(number % 2 for number in self._streams) >= _TUNNELS:
            raise WireError("more tunnels than there may be")
        self._add(number, _connect(self._exchange))


def _connect(exchange: Path) -> socket.socket:
    """A connection to the proxy; where there is none, one that has ended already."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        # Through a descriptor: the path of a socket may be 107 bytes long, and this one is.
        folder = os.open(exchange, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # The proxy accepts at once or never: waiting for it would hold up every stream.
            connection.setblocking(False)
            connection.connect(f"/proc/self/fd/{folder}/{_EGRESS_SOCKET}")
        finally:
            os.close(folder)
    except OSError:
        connection.close()
        connection, other = socket.socketpair()
        other.close()
    return connection


class Carried:
    """A control socket for the gateway, carried by a thread over a stream of bytes."""

    def __init__(self, line: Bytes, exchange: Path | None) -> None:
        self.control, theirs = socket.socketpair()
        self._board = Outside(line, theirs, exchange)
        self._thread = threading.Thread(
            target=self._board.run, name="trilemma-switchboard", daemon=True
        )
        self._thread.start()

    @property
    def problem(self) -> str:
        """Why it ended, where that was not as it should."""
        return self._board.problem

    def ended(self, seconds: float) -> bool:
        """Wait for the end of the stream of bytes."""
        self._thread.join(seconds)
        return not self._thread.is_alive()
