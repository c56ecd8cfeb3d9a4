"""The stream of bytes that leads from one switchboard to the other, and two pipes as such a one."""

import os
from typing import Protocol


class Bytes(Protocol):
    """The stream of bytes that leads to the other switchboard. Its calls do not wait."""

    reading: int
    writing: int
    """Descriptors to wait for; they may be one and the same."""

    def read(self) -> bytes | None:
        """What has come, nothing at the end, None when there is nothing now."""

    def write(self, data: bytes) -> int:
        """Send; how much was taken."""

    def close(self) -> None:
        """Close it."""


class Pipes:
    """Two pipes as one stream of bytes: standard input and output of process 1."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading = reading
        self.writing = writing
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

    def read(self) -> bytes | None:
        """What has come, nothing at the end, None when there is nothing now."""
        try:
            return os.read(self.reading, 64 * 1024)
        except BlockingIOError:
            return None

    def write(self, data: bytes) -> int:
        """Send; how much was taken."""
        try:
            return os.write(self.writing, data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close both."""
        os.close(self.reading)
        os.close(self.writing)
