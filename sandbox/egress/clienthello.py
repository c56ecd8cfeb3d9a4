"""The server name in a TLS handshake, held to the host that a tunnel was opened to.

Without it, one allowed host at a large provider opens every tenant of that provider: the tunnel
goes to the allowed name and the handshake inside asks for another one.
"""

from trilemma.errors import SpecError

from .hosts import canonical_host
from .request import EgressFailure, Outcome

LARGEST_HELLO = 32 * 1024

_HANDSHAKE = 0x16
_RECORDS = range(0x14, 0x19)
"""All record types: some servers pass over an alert that stands before the handshake."""
_CLIENT_HELLO = 1
_SERVER_NAME = 0


class HelloGate:
    """Holds back the first bytes of a tunnel until the name in them is known to be right.

    What does not begin as TLS passes, and so does a handshake without a name: the address was
    checked, and a name that is not asked for cannot select another tenant.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._held = bytearray()
        self._open = False

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the sandbox, give those that may go on.

        Raises:
            EgressFailure: the handshake asks for another host, or cannot be read.

        """
        if self._open:
            return chunk
        self._held += chunk
        if self._held[0] in _RECORDS:
            hello = _handshake(bytes(self._held))
            if hello is None and len(self._held) <= LARGEST_HELLO:
                return b""
            self._check(hello)
        self._open = True
        return bytes(self._held)

    def _check(self, hello: bytes | None) -> None:
        try:
            names = _server_names(hello or b"")
            right = all(canonical_host(name.decode("ascii")) == self._host for name in names)
        except (SpecError, ValueError, EOFError):
            right = False
        if not right:
            raise EgressFailure(
                Outcome.NAME_MISMATCH, 403, f"the TLS name inside a tunnel must be {self._host!r}"
            )


class _Cursor:
    """Reads length-prefixed fields; reading past the end raises EOFError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise EOFError
        self._at += count
        return part

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))


def _handshake(data: bytes) -> bytes | None:
    """The first handshake message, joined from its records; None while it is incomplete."""
    records = _Cursor(data)
    joined = b""
    try:
        while True:
            if records.number(1) != _HANDSHAKE:
                return b""
            records.take(2)
            joined += records.vector(2)
            if len(joined) >= 4 and len(joined) >= 4 + int.from_bytes(joined[1:4], "big"):
                return joined[: 4 + int.from_bytes(joined[1:4], "big")]
    except EOFError:
        return None


def _server_names(hello: bytes) -> list[bytes]:
    """All names that a ClientHello asks for. Raises EOFError or ValueError when it is none."""
    message = _Cursor(hello)
    if message.number(1) != _CLIENT_HELLO:
        raise ValueError("not a ClientHello")
    body = _Cursor(message.vector(3))
    body.take(2 + 32)
    for width in (1, 2, 1):  # session, cipher suites, compression methods
        body.vector(width)
    names: list[bytes] = []
    extensions = _Cursor(body.vector(2) if body.more else b"")
    while extensions.more:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            names += _name_list(content)
    return names


def _name_list(content: bytes) -> list[bytes]:
    entries = _Cursor(_Cursor(content).vector(2))
    names = []
    while entries.more:
        entries.take(1)
        names.append(entries.vector(2))
    return names
