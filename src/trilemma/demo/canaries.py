"""Words that stand for secrets, and how to find them in what arrived."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")


def found(canaries: Mapping[str, str], contents: Iterable[bytes]) -> frozenset[str]:
    """Names of the canaries in there: in clear, percent-encoded, or in base64."""
    readings = [reading for content in contents for reading in _readings(content)]
    return frozenset(
        name
        for name, word in canaries.items()
        if any(word.encode() in reading for reading in readings)
    )


def _readings(content: bytes) -> list[bytes]:
    plain = unquote_to_bytes(content)
    decoded = [_decoded(match) for match in _BASE64.findall(plain)]
    return [content, plain, *decoded]


def _decoded(text: bytes) -> bytes:
    padded = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(padded + b"=" * (-len(padded) % 4))
    except binascii.Error:
        return b""
