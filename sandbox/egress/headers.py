"""Which header fields pass, in which direction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .request import EgressFailure, Outcome

OUTCOME_FIELD = "Trilemma-Outcome"
"""Marks an answer made by the proxy itself. Never passes from the other side."""


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field; the name in lower case."""

    name: bytes
    value: bytes


_STRUCTURED = frozenset(
    {
        b"accept",
        b"accept-language",
        b"content-type",
        b"if-modified-since",
        b"if-none-match",
        b"range",
    }
)
"""All that a structured request may vary besides its target and body; counted as sent."""

_CREDENTIALS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})
"""Refused in a structured request: with a stranger's key, an allowed host is the stranger's."""

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_REWRITTEN = frozenset({b"host", b"content-length", b"expect"})
"""Written anew by the proxy, whatever the sandbox said."""

_NOT_FOR_SANDBOXES = frozenset({b"set-cookie", b"alt-svc", OUTCOME_FIELD.lower().encode()})


def leaving(fields: Iterable[HeaderField], structured: bool) -> tuple[HeaderField, ...]:
    """The fields of a request that leave.

    Structured: a short list, nothing else. In a tunnel's plain requests: all but those that
    concern the proxy or are written anew.

    Raises:
        EgressFailure: a structured request carries a credential of its own.

    """
    fields = tuple(fields)
    if not structured:
        dropped = _HOP_BY_HOP | _REWRITTEN | _named(fields)
        return tuple(field for field in fields if field.name not in dropped)
    for field in fields:
        if field.name in _CREDENTIALS:
            raise EgressFailure(
                Outcome.DENIED,
                403,
                f"a request may not bring its own {field.name.decode()!r}; "
                "credentials are the operator's to add",
            )
    return tuple(field for field in fields if field.name in _STRUCTURED)


def counted(fields: Iterable[HeaderField]) -> int:
    """Their size, as the budget counts it."""
    return sum(len(field.name) + len(field.value) for field in fields)


def written(authority: str, length: int | None, structured: bool) -> tuple[HeaderField, ...]:
    """What the proxy writes into each request itself; ``length`` is None without a body."""
    own = [HeaderField(b"host", authority.encode()), HeaderField(b"connection", b"close")]
    if structured:
        own.append(HeaderField(b"user-agent", b"trilemma"))
        own.append(HeaderField(b"accept-encoding", b"identity"))
    if length is not None:
        own.append(HeaderField(b"content-length", str(length).encode()))
    return tuple(own)


def added(headers: Mapping[str, str]) -> tuple[HeaderField, ...]:
    """What the gateway adds, such as a credential."""
    return tuple(HeaderField(k.lower().encode(), v.encode()) for k, v in headers.items())


def arriving(fields: Iterable[HeaderField]) -> tuple[HeaderField, ...]:
    """The fields of a response that reach the sandbox."""
    fields = tuple(fields)
    dropped = _HOP_BY_HOP | _NOT_FOR_SANDBOXES | _named(fields)
    if any(field.name == b"transfer-encoding" for field in fields):
        dropped |= {b"content-length"}  # where both are there, the length is not to be believed
    return tuple(field for field in fields if field.name not in dropped)


def _named(fields: Iterable[HeaderField]) -> frozenset[bytes]:
    """Fields that a Connection field declares to be for this hop only."""
    return frozenset(
        name.strip().lower()
        for field in fields
        if field.name == b"connection"
        for name in field.value.split(b",")
    )
