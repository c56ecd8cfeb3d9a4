"""What travels between two switchboards: short messages, each about one stream.

A message is its kind, the number of its stream, the length of what follows, and that. Nothing else
is ever sent, and what is not exactly such a message ends the connection.
"""

import struct
from typing import NamedTuple

DATA = 1
"""Bytes of a stream, as many as there is credit for."""
PASS = 2
"""Bytes of the control stream, with the numbers of new streams that are handed over with them."""
OPEN = 3
"""A new stream, opened from inside."""
CREDIT = 4
"""So many bytes more are taken."""
END = 5
"""No more bytes will follow on this stream. Once from each side."""
STOP = 6
"""No more bytes are taken on this stream: nobody reads them."""
ALIVE = 7
"""Nothing but a sign of life, from outside."""

MOST = 32 * 1024
"""Bytes of one message, without its head."""
WINDOW = 256 * 1024
"""Bytes of one stream that may be on their way or waiting to be read."""

SIGN = 20.0
"""Seconds between two signs of life."""
SILENCE = 120.0
"""Seconds after which a gateway that says nothing counts as gone: the network may have parted them,
and nothing else would end the sandbox."""

CONTROL = 0
"""The stream that is always there: it leads to the tool host."""
MOST_PASSED = 8
"""Streams that one message hands over."""

_HEAD = struct.Struct(">BIH")
_NUMBER = struct.Struct(">I")
_KINDS = frozenset((DATA, PASS, OPEN, CREDIT, END, STOP, ALIVE))
_EMPTY = frozenset((OPEN, END, STOP, ALIVE))


class WireError(ValueError):
    """The other side does not keep to the protocol. The connection is of no use any more."""


class Message(NamedTuple):
    """One message."""

    kind: int
    stream: int
    payload: bytes


class Passed(NamedTuple):
    """The payload of PASS."""

    numbers: tuple[int, ...]
    data: bytes


def pack(kind: int, stream: int, payload: bytes = b"") -> bytes:
    """The bytes of one message."""
    return _HEAD.pack(kind, stream, len(payload)) + payload


def pack_passed(numbers: tuple[int, ...], data: bytes) -> bytes:
    """The payload of PASS."""
    return bytes([len(numbers)]) + b"".join(map(_NUMBER.pack, numbers)) + data


def unpack_passed(payload: bytes) -> Passed:
    """Read the payload of PASS."""
    count = payload[0] if payload else 0
    end = 1 + count * _NUMBER.size
    if not 0 < count <= MOST_PASSED or len(payload) <= end:
        raise WireError("a message that hands over nothing, or too much")
    return Passed(tuple(n for (n,) in _NUMBER.iter_unpack(payload[1:end])), payload[end:])


def pack_credit(amount: int) -> bytes:
    """The payload of CREDIT."""
    return _NUMBER.pack(amount)


def unpack_credit(payload: bytes) -> int:
    """Read the payload of CREDIT."""
    if len(payload) != _NUMBER.size:
        raise WireError("credit without an amount")
    amount: int = _NUMBER.unpack(payload)[0]
    return amount


class Unpacker:
    """Messages out of bytes, however those were cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def take(self) -> Message | None:
        """The next whole message, or None."""
        if len(self._buffer) < _HEAD.size:
            return None
        kind, stream, length = _HEAD.unpack_from(self._buffer)
        if kind not in _KINDS or length > MOST or (length and kind in _EMPTY):
            raise WireError(f"no such message: kind {kind}, {length} bytes")
        end = _HEAD.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_HEAD.size : end])
        del self._buffer[:end]
        return Message(kind, stream, payload)
