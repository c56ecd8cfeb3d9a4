"""Where a request wants to go, read from its first line."""

import re
from dataclasses import dataclass

from trilemma.errors import SpecError

from .hosts import canonical_host, canonical_port

LONGEST_TARGET = 8192

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(r"(https?)://([^/?]*)(/[^?]*)?(\?.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(.*))?")


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of one request, canonical."""

    scheme: str
    """``http``, ``https`` or ``tunnel``."""
    host: str
    port: int
    path: str = ""
    """Path and query as the other side will see them; empty for a tunnel."""

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"


def absolute_target(raw: bytes) -> Target:
    """Read an absolute-form target such as ``https://example.org/a?b``.

    Raises:
        SpecError: anything else, and anything with a fragment, userinfo or odd characters.

    """
    text = _visible(raw)
    match = _ABSOLUTE.fullmatch(text)
    if match is None or "#" in text or "\\" in text:
        raise SpecError(f"not an absolute http or https address: {text[:200]!r}")
    scheme = match[1].lower()
    host, port = _authority(match[2])
    return Target(
        scheme=scheme,
        host=canonical_host(host),
        port=_DEFAULT_PORTS[scheme] if port is None else canonical_port(port),
        path=(match[3] or "/") + (match[4] or ""),
    )


def tunnel_target(raw: bytes) -> Target:
    """Read the ``host:port`` of a CONNECT request.

    Raises:
        SpecError: anything else.

    """
    text = _visible(raw)
    host, port = _authority(text)
    if port is None:
        raise SpecError(f"CONNECT needs host:port, not {text[:200]!r}")
    return Target(scheme="tunnel", host=canonical_host(host), port=canonical_port(port))


def _visible(raw: bytes) -> str:
    if len(raw) > LONGEST_TARGET or not re.fullmatch(rb"[\x21-\x7e]+", raw):
        raise SpecError("the target of a request is too long or holds odd characters")
    return raw.decode("ascii")


def _authority(text: str) -> tuple[str, str | None]:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise SpecError(f"not host or host:port: {text[:200]!r}")
    host = match[1]
    # Without brackets a colon separates the port: nothing else may look like IPv6 here.
    if ":" in host and not host.startswith("["):
        raise SpecError(f"an IPv6 address needs brackets: {text[:200]!r}")
    return host, match[2]
