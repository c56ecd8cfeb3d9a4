"""The frames between gateway and proxy: JSON objects, checked field by field on both sides."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_type_hints

from trilemma.errors import SandboxError

from .request import EgressAnswer, EgressOutcome, EgressRequest, Mode

LARGEST = 64 * 1024
"""Bytes of one frame. The control socket keeps frames apart (SOCK_SEQPACKET)."""


@dataclass(frozen=True, slots=True)
class Configure:
    """First frame to the proxy: all it will ever be told about its domain."""

    mode: Mode
    hosts: Mapping[str, str]
    """Names with a fixed address, canonical; they are never asked of a resolver."""
    private: tuple[str, ...]
    """What the operator opened beside public addresses."""
    budget_bytes_out: int
    """What may leave through this process in all."""
    ca_file: str
    """Certificates to trust besides the system's; empty for none."""


@dataclass(frozen=True, slots=True)
class Ready:
    """First frame from the proxy."""


@dataclass(frozen=True, slots=True)
class Attach:
    """Serve the connected socket that comes with this frame, for one call."""

    call: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Accept connections on the listening socket that comes with this frame."""

    call: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Cut everything that belongs to ``call``."""

    call: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """It is cut."""

    call: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request wants to leave; the gateway says whether it may."""

    id: int
    request: EgressRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's answer to the request ``id``."""

    id: int
    answer: EgressAnswer


@dataclass(frozen=True, slots=True)
class Report:
    """How a request ended; ``id`` is 0 for one too malformed to be asked."""

    id: int
    outcome: EgressOutcome


Frame = Configure | Ready | Attach | Listen | Revoke | Revoked | Ask | Answer | Report

TO_PROXY: tuple[type[Frame], ...] = (Configure, Attach, Listen, Revoke, Answer)
TO_GATEWAY: tuple[type[Frame], ...] = (Ready, Revoked, Ask, Report)


class BadFrame(SandboxError):
    """A frame is not one that this side accepts. The connection is worth nothing any more."""


def encode(frame: Frame) -> bytes:
    """The bytes of a frame.

    Raises:
        BadFrame: it is too large to be sent.

    """
    raw = json.dumps({"kind": type(frame).__name__, **asdict(frame)}).encode()
    if len(raw) > LARGEST:
        raise BadFrame(f"a frame of {len(raw)} bytes; at most {LARGEST} are sent")
    return raw


def decode(raw: bytes, accepted: tuple[type[Frame], ...]) -> Frame:
    """Read one frame of the kinds that this side accepts.

    Raises:
        BadFrame: anything else.

    """
    try:
        values = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise BadFrame("a control frame is not JSON") from None
    kind = values.pop("kind", None) if isinstance(values, dict) else None
    for frame_type in accepted:
        if frame_type.__name__ == kind:
            frame: Frame = _read(frame_type, values)
            return frame
    raise BadFrame(f"a control frame of an unexpected kind: {str(kind)[:40]!r}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("duplicate key")
    return values


_hints = cache(get_type_hints)


def _read(wanted: Any, value: Any) -> Any:
    """Turn a JSON value into ``wanted``, refusing whatever does not fit exactly."""
    if is_dataclass(wanted) and isinstance(wanted, type):
        return _read_object(wanted, value)
    if wanted in (str, int, bool) and type(value) is wanted:
        return value
    if isinstance(wanted, type) and issubclass(wanted, StrEnum) and value in list(wanted):
        return wanted(value)
    if wanted == tuple[str, ...] and isinstance(value, list):
        return tuple(_read(str, item) for item in value)
    if wanted == Mapping[str, str] and isinstance(value, dict):
        return {key: _read(str, item) for key, item in value.items()}
    raise BadFrame(f"a control frame holds a value that does not fit: {str(value)[:40]!r}")


def _read_object(wanted: type, value: Any) -> Any:
    names = [each.name for each in fields(wanted)]
    if not isinstance(value, dict) or set(value) != set(names):
        raise BadFrame(f"a control frame lacks fields of {wanted.__name__}, or has others")
    hints = _hints(wanted)
    return wanted(**{name: _read(hints[name], value[name]) for name in names})
