"""The proxy's end of the control connection to its gateway."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

from .frames import LARGEST, TO_PROXY, Answer, Ask, BadFrame, Frame, Report, decode, encode
from .request import EgressAnswer, EgressOutcome, EgressRequest

MOST_UNSENT = 1024


class ControlLost(BadFrame):
    """The gateway is gone. The proxy ends with it."""


class Control:
    """Frames to and from the gateway. Any doubt about it ends the process."""

    def __init__(self, sock: socket.socket, on_frame: Callable[[Frame, list[int]], None]) -> None:
        self._sock = sock
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[bytes] = deque()
        self._waiting: dict[int, asyncio.Future[EgressAnswer]] = {}
        self._last_id = 0
        self.lost: asyncio.Future[None] = self._loop.create_future()
        sock.setblocking(False)
        self._loop.add_reader(sock, self._receive)

    def number(self) -> int:
        """A number for a request, never used before."""
        self._last_id += 1
        return self._last_id

    async def ask(self, number: int, request: EgressRequest) -> EgressAnswer:
        """Have the gateway decide."""
        self._waiting[number] = self._loop.create_future()
        try:
            self.post(Ask(number, request))
            return await self._waiting[number]
        finally:
            del self._waiting[number]

    def report(self, number: int, outcome: EgressOutcome) -> None:
        """Tell how a request ended."""
        self.post(Report(number, outcome))

    def post(self, frame: Frame) -> None:
        """Send a frame, in order, without waiting."""
        self._unsent.append(encode(frame))
        if len(self._unsent) > MOST_UNSENT:
            self._lose()
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._sock.send(self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._flush)
            return
        except OSError:
            self._lose()
        self._loop.remove_writer(self._sock)

    def _receive(self) -> None:
        try:
            raw, descriptors, flags, _ = socket.recv_fds(self._sock, LARGEST, 1)
            if not raw or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise ControlLost("the control connection ended")
            self._take(decode(raw, TO_PROXY), descriptors)
        except BlockingIOError:
            return
        except (OSError, BadFrame):
            self._lose()

    def _take(self, frame: Frame, descriptors: list[int]) -> None:
        if not isinstance(frame, Answer):
            self._on_frame(frame, descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        waiting = self._waiting.get(frame.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame.answer)

    def _lose(self) -> None:
        self._loop.remove_reader(self._sock)
        if not self.lost.done():
            self.lost.set_result(None)
