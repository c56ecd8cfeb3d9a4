"""What the tool host reports about calls: how each one's process ended.

There is no reader thread. Whoever waits for an ending reads the control connection for everybody,
so that a call nobody waits behind costs no switch between threads.
"""

import select
import socket
import threading
import time

from trilemma.errors import SandboxLost

from .frames import Frame, FrameReader


class Endings:
    """Endings by the number a call has on the wire. Safe to use from several threads."""

    def __init__(self, sock: socket.socket, reader: FrameReader) -> None:
        self._sock = sock
        self._reader = reader
        self._changed = threading.Condition()
        self._reading = False
        self._lost = False
        self._expected: dict[int, int | None] = {}

    def expect(self, call: int) -> None:
        """Keep the ending of this call when it comes."""
        with self._changed:
            self._expected[call] = None

    def forget(self, call: int) -> None:
        """The ending of this call interests nobody any more."""
        with self._changed:
            self._expected.pop(call, None)

    def wait(self, call: int, seconds: float) -> int | None:
        """The exit status of an expected call's process (-N for signal N), or None in time.

        Raises:
            SandboxLost: the tool host is gone, so nothing will ever be reported.

        """
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                if (status := self._expected.get(call)) is not None:
                    return status
                if self._lost:
                    raise SandboxLost("the sandbox ended while a call was running in it")
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                if self._reading:
                    self._changed.wait(left)
                    continue
                self._reading = True
            self._read_once(left)

    def _read_once(self, seconds: float) -> None:
        frames: list[Frame] = []
        lost = False
        try:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            if poll.poll(seconds * 1000):
                lost = not self._reader.feed()
            while (frame := self._reader.take()) is not None:
                frames.append(frame)
        except (OSError, ValueError):
            lost = True  # Closed under us, or the tool host does not speak frames any more.
        with self._changed:
            self._reading = False
            self._lost = self._lost or lost
            for frame in frames:
                self._record(frame)
            self._changed.notify_all()

    def _record(self, frame: Frame) -> None:
        match frame:
            case {"type": "ended", "call": int(call), "status": int(status)}:
                if call in self._expected:
                    self._expected[call] = status
            case _:
                self._lost = True
