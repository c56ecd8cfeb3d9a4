"""The stream of bytes that leads to a container's process 1: its attached input and output.

The engine takes over the HTTP connection for it. What the container writes comes in the engine's
own frames, each with a head of eight bytes; what goes in goes as it is.
"""

import contextlib
import socket
import ssl

from trilemma.errors import SandboxError

from .address import Address
from .toolhost.wire import WireError

_HEAD = 8
_OUTPUT = 1
_CHUNK = 64 * 1024
_LONGEST_ANSWER = 16 * 1024
_REQUEST = (
    "POST /containers/{container}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n"
    "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
)


class Attached:
    """Input and output of one container. Its calls do not wait."""

    def __init__(self, connection: socket.socket, rest: bytes = b"") -> None:
        """``rest`` is what came of the output with the engine's answer."""
        connection.setblocking(False)
        self._connection = connection
        self.reading = self.writing = connection.fileno()
        self._buffer = bytearray(rest)
        self._left = 0
        """Bytes of the present frame that are still to come."""

    def read(self) -> bytes | None:
        """What has come, nothing at the end, None when there is nothing now."""
        found = self._output()
        while not found:
            try:
                data = self._connection.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except (ConnectionError, ssl.SSLError):
                return b""
            if not data:
                return b""
            self._buffer += data
            found = self._output()
        return found

    def write(self, data: bytes) -> int:
        """Send; how much was taken."""
        try:
            return self._connection.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def close(self) -> None:
        """Close it: the container's input ends, and with it its process 1."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _output(self) -> bytes:
        """The output in what was received, without the engine's heads."""
        found = bytearray()
        while self._buffer:
            if not self._left:
                if len(self._buffer) < _HEAD:
                    break
                if self._buffer[:4] != bytes((_OUTPUT, 0, 0, 0)):
                    raise WireError("the engine sends something else than the output")
                self._left = int.from_bytes(self._buffer[4:_HEAD], "big")
                del self._buffer[:_HEAD]
            piece = self._buffer[: self._left]
            del self._buffer[: self._left]
            self._left -= len(piece)
            found += piece
        return bytes(found)


def attach(address: Address, container: str) -> Attached:
    """Attach to a container that was created and not yet started.

    Raises:
        SandboxError: the engine does not attach.

    """
    try:
        connection = address.dial()
    except OSError as error:
        raise SandboxError(f"the engine at {address.text} cannot be reached: {error}") from None
    try:
        connection.sendall(_REQUEST.format(container=container).encode())
        return Attached(connection, _taken_over(connection))
    except OSError as error:
        connection.close()
        raise SandboxError(f"the engine does not attach to a container: {error}") from None
    except BaseException:
        connection.close()
        raise


def _taken_over(connection: socket.socket) -> bytes:
    """Read the engine's answer up to where the connection is a stream of bytes."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(4096)
        if not data or len(answer) > _LONGEST_ANSWER:
            raise SandboxError("the engine does not attach to a container: it hung up")
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode(errors="replace")
    # Some engines, and proxies before them, take the connection over without saying so.
    if status.split()[1:2] not in (["101"], ["200"]):
        raise SandboxError(f"the engine does not attach to a container: {status[:200]}")
    return rest
