"""One stream of a switchboard: a local socket, and what each side may still send."""

import contextlib
import os
import socket
from array import array
from collections import deque
from typing import NamedTuple

from .frames import Received, receive_fds
from .wire import MOST, WINDOW, WireError

_RETURN = WINDOW // 4
"""Credit is given back in pieces of this size, so that few messages are about nothing else."""
_SMALL = 4096
"""Bytes up to which pieces that wait become one."""
_NOW = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class Piece(NamedTuple):
    """Bytes to be written locally, and the descriptors that go with the first of them."""

    data: bytes
    fds: tuple[int, ...] = ()


class Stream:
    """One end of a stream. Nothing here waits, and nothing grows beyond the window."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.said_end = False
        self.heard_end = False
        self.deaf = False
        """Nobody reads any more what comes from the other side."""
        self._credit = WINDOW
        """Bytes that the other side still takes."""
        self._room = WINDOW
        """Bytes that the other side may still send."""
        self._returned = 0
        self._waiting: deque[Piece] = deque()

    @property
    def sends(self) -> bool:
        """Whether what is said locally can be taken on."""
        return not self.said_end and self._credit > 0

    @property
    def writes(self) -> bool:
        """Whether something waits to be written locally."""
        return bool(self._waiting)

    @property
    def over(self) -> bool:
        """Whether nothing will ever come of it again."""
        return self.said_end and self.heard_end and not self._waiting

    def receive(self, max_fds: int = 0) -> Received | None:
        """What was said locally, without bytes at its end; None when there is nothing now."""
        size = min(MOST // 2, self._credit)
        try:
            if max_fds:
                received = receive_fds(self.sock, size, max_fds, socket.MSG_DONTWAIT)
            else:
                received = Received(self.sock.recv(size, socket.MSG_DONTWAIT), [])
        except BlockingIOError:
            return None
        except OSError:
            return Received(b"", [])
        self._credit -= len(received.data)
        return received

    def accept(self, piece: Piece) -> None:
        """Take what the other side sent; it is written when the local side reads."""
        if self.heard_end or not 0 < len(piece.data) <= self._room:
            raise WireError(f"stream {self.number} got more than it takes")
        self._room -= len(piece.data)
        if self.deaf:
            return
        last = self._waiting[-1] if self._waiting else None
        if last and not piece.fds and len(last.data) + len(piece.data) <= _SMALL:
            # What each costs beside its bytes is in no window.
            self._waiting[-1] = Piece(last.data + piece.data, last.fds)
        else:
            self._waiting.append(piece)

    def credited(self, amount: int) -> None:
        """The other side takes so many bytes more."""
        if not 0 < amount <= WINDOW - self._credit:
            raise WireError(f"stream {self.number} got credit for what was never sent")
        self._credit += amount

    def flush(self) -> int:
        """Write what the local side takes now; how much credit that gives back.

        Raises:
            OSError: nobody will read it.
        """
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                sent = self._write(data, fds)
            except BlockingIOError:
                break
            self._waiting.popleft()
            if sent < len(data):
                self._waiting.appendleft(Piece(data[sent:]))
            self._returned += sent
        if self._returned < _RETURN:
            return 0
        amount, self._returned = self._returned, 0
        self._room += amount
        return amount

    def stop_hearing(self) -> None:
        """Nobody reads what comes; drop it."""
        self.deaf = True
        self._drop()

    def stop_saying(self) -> None:
        """The other side takes nothing more: whoever writes locally is told."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)

    def finish(self) -> None:
        """Everything was written: the local side sees the end."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the local socket, and what waits to be handed over."""
        self._drop()
        self.sock.close()

    def _write(self, data: bytes, fds: tuple[int, ...]) -> int:
        if not fds:
            return self.sock.send(data, _NOW)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))]
        sent = self.sock.sendmsg([data], rights, _NOW)
        for fd in fds:
            os.close(fd)
        return sent

    def _drop(self) -> None:
        for piece in self._waiting:
            for fd in piece.fds:
                os.close(fd)
        self._waiting.clear()
