"""Frames: a 4-byte big-endian length and one strict JSON object, on a stream socket."""

import json
import math
import socket
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Frame = dict[str, Any]

MAX_FRAME = 16 * 1024 * 1024
"""No frame of any kind is longer."""
MAX_DEPTH = 64
"""Nesting of lists and objects; deeper JSON is refused, whoever sent it."""

_HEADER = 4
_CHUNK = 64 * 1024
"""Small enough that the allocator need not map and unmap memory for each receive."""


class FrameError(ValueError):
    """What came is not a frame. The connection is not usable afterwards."""


class FrameTooLong(FrameError):
    """The frame announces, or would have, more bytes than its reader takes."""


def dumps(value: Any) -> bytes:
    """JSON in UTF-8, without NaN and without lone surrogates."""
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from None


def loads(data: bytes) -> Any:
    """Read strict JSON: no duplicate keys, no NaN or infinity, bounded depth, real text only."""
    try:
        text = data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except FrameError:
        raise
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from None
    # A value can only be too deep, or hold a lone surrogate, where the text shows it.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH or b"\\ud" in data or b"\\uD" in data:
        _check(value)
    return value


def encode(frame: Frame, limit: int = MAX_FRAME) -> bytes:
    """The bytes of one frame."""
    body = dumps(frame)
    if len(body) > limit:
        raise FrameTooLong(f"{len(body)} bytes where at most {limit} are taken")
    return len(body).to_bytes(_HEADER, "big") + body


def send(
    sock: socket.socket, frame: Frame, fds: Sequence[int] = (), limit: int = MAX_FRAME
) -> None:
    """Send one frame whole, with descriptors attached to its first byte."""
    data = encode(frame, limit)
    if fds:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))]
        data = data[sock.sendmsg([data], rights) :]
    sock.sendall(data)


class Received(NamedTuple):
    """Bytes, and the descriptors that came with them: closed on execve."""

    data: bytes
    fds: list[int]


def receive_fds(sock: socket.socket, size: int, max_fds: int, flags: int = 0) -> Received:
    """Receive once. ``socket.recv_fds`` would forget the flag that closes them on execve."""
    room = socket.CMSG_LEN(max_fds * array("i").itemsize)
    data, ancillary, _, _ = sock.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC | flags)
    fds = array("i")
    for level, kind, rights in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(rights[: len(rights) - len(rights) % fds.itemsize])
    return Received(data, list(fds))


class FrameReader:
    """Frames of one stream, in order, and the descriptors that came with them."""

    def __init__(self, sock: socket.socket, limit: int = MAX_FRAME, max_fds: int = 0) -> None:
        self._sock = sock
        self._limit = limit
        self._max_fds = max_fds
        self._buffer = bytearray()
        self.fds: deque[int] = deque()

    def feed(self) -> bool:
        """Receive once; False when the other side has closed."""
        if self._max_fds:
            data, fds = receive_fds(self._sock, _CHUNK, self._max_fds)
            self.fds.extend(fds)
        else:
            # A plain recv: the kernel drops descriptors that nobody asked for.
            data = self._sock.recv(_CHUNK)
        self._buffer += data
        return bool(data)

    def take(self) -> Frame | None:
        """The next whole frame that has been received, or None."""
        if len(self._buffer) < _HEADER:
            return None
        length = int.from_bytes(self._buffer[:_HEADER], "big")
        if length > self._limit:
            raise FrameTooLong(f"{length} bytes where at most {self._limit} are taken")
        if len(self._buffer) < _HEADER + length:
            return None
        value = loads(bytes(self._buffer[_HEADER : _HEADER + length]))
        del self._buffer[: _HEADER + length]
        if not isinstance(value, dict):
            raise FrameError("a frame is a JSON object")
        return value

    def read(self) -> Frame | None:
        """Wait for the next frame; None when the other side has closed between frames."""
        while (frame := self.take()) is None:
            if not self.feed():
                if self._buffer:
                    raise FrameError("the connection ended within a frame")
                return None
        return frame


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise FrameError("an object has the same key twice")
    return value


def _refuse_constant(name: str) -> float:
    raise FrameError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise FrameError(f"{text[:40]} is not a number that fits")
    return number


def _check(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise FrameError(f"nested more than {MAX_DEPTH} deep")


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        _real_text(value)
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        for key in value:
            _real_text(key)
        yield from value.values()


def _real_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FrameError("a lone surrogate is not text") from None
