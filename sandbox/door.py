"""The door of one sandbox: a unix socket that its tool host connects to, once."""

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from trilemma.errors import SandboxError

HOST_SOCKET = "host.sock"

_LOOK_AGAIN = 0.5
"""Seconds between two looks at whether the container still runs."""


class Door:
    """Listens in the exchange folder until the one connection is there; then nothing is left.

    The socket belongs to the sandbox's user, and the folder lies below a directory that only the
    gateway's user may enter, so nobody but this sandbox reaches it.
    """

    def __init__(self, exchange: Path, uid: int) -> None:
        self._path = exchange / HOST_SOCKET
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._bind(exchange)
            if os.geteuid() == 0:
                os.chown(self._path, uid, -1)
                self._path.chmod(0o600)
            else:
                self._path.chmod(0o666)
            self._socket.listen(1)
        except OSError as exc:
            self.close()
            raise SandboxError(f"cannot listen at {str(self._path)!r}: {exc}") from exc

    def _bind(self, exchange: Path) -> None:
        """Through a descriptor: the path of a socket may be 107 bytes long, and this one is."""
        folder = os.open(exchange, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.bind(f"/proc/self/fd/{folder}/{HOST_SOCKET}")
        finally:
            os.close(folder)

    def accept(self, process: Callable[[], int], seconds: float) -> socket.socket:
        """Wait for the container's first process to connect.

        ``process`` gives that process's number on this host, or 0 when the container has ended.

        Raises:
            SandboxError: it ended, took too long, or somebody else connected.

        """
        deadline = time.monotonic() + seconds
        while not select.select([self._socket], [], [], _LOOK_AGAIN)[0]:
            if not process():
                raise SandboxError("the container ended before its tool host connected")
            if time.monotonic() > deadline:
                raise SandboxError(f"the tool host did not connect within {seconds:g} s")
        connection, _ = self._socket.accept()
        peer, expected = _peer(connection), process()
        if not peer or peer != expected:
            connection.close()
            raise SandboxError(
                f"process {peer} connected instead of the container's first process {expected}; "
                "is the engine on another machine?"
            )
        return connection

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _peer(connection: socket.socket) -> int:
    """The number of the process that connected, as this process sees it; 0 if it cannot."""
    form = struct.Struct("3i")
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size)
    pid: int = form.unpack(data)[0]
    return pid
