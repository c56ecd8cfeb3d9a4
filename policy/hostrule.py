"""Rules for destinations: which hosts, ports, schemes and methods requests may go to."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trilemma.errors import SpecError

from .publicsuffix import spans_owners

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def canonical_name(text: str) -> str:
    """A host as the proxy compares it: lower case, IDNA, no trailing dot, shortest address.

    Raises:
        SpecError: ``text`` is neither a host name nor an address in its usual form.

    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _name(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if "%" in text:
        raise SpecError(f"{text!r} carries a zone; write the address without it")
    return str(mapped or address)


def _name(text: str) -> str:
    name = text.lower().removesuffix(".")
    if not name.isascii():
        name = _to_ascii(name)
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise SpecError(f"{text!r} is not a host name; write one such as 'example.org'")
    if _NUMBER.fullmatch(labels[-1]):
        raise SpecError(f"{text!r} is not an address in its usual form, such as '192.0.2.7'")
    return name


def _to_ascii(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise SpecError(f"{name!r} is not an international host name: {error}") from None


def _canonical_pattern(text: str) -> str:
    if not text.startswith("*."):
        return canonical_name(text)
    suffix = _name(text[2:])
    if spans_owners(suffix):
        raise SpecError(
            f"{text!r} is too wide: anybody can own a name below {suffix!r}; name the hosts"
        )
    return f"*.{suffix}"


def _readable(method: str) -> str:
    if method == "CONNECT":
        raise SpecError("'CONNECT' is not a request; tunnels depend on the code capability alone")
    return method


Port = Annotated[int, Field(ge=1, le=65535)]
Method = Annotated[str, Field(pattern=r"^[A-Z]{1,32}$"), AfterValidator(_readable)]


class HostRule(BaseModel):
    """Requests that may go to one host, or to all hosts below one name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, AfterValidator(_canonical_pattern)]
    """A host name, an address, or ``*.name`` for every host below a name (not itself)."""
    ports: tuple[Port, ...] = (443,)
    methods: tuple[Method, ...] = ("GET", "HEAD")
    schemes: tuple[Literal["http", "https"], ...] = ("https",)

    def covers(self, *, host: str, port: int, scheme: str, method: str) -> bool:
        """Whether this rule lets a request through. ``host`` is canonical.

        Nobody can see the methods inside a tunnel, so only host and port bind one.
        """
        if port not in self.ports or not self._covers_host(host):
            return False
        if scheme == "tunnel":
            return "https" in self.schemes
        return scheme in self.schemes and method in self.methods

    def _covers_host(self, host: str) -> bool:
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return host == self.host


def listed(
    lists: Sequence[Sequence[HostRule] | None],
    *,
    host: str,
    port: int,
    scheme: str,
    method: str,
) -> bool:
    """Whether every list that was given covers the request. False where none was given."""
    given = [rules for rules in lists if rules is not None]
    return bool(given) and all(
        any(r.covers(host=host, port=port, scheme=scheme, method=method) for r in rules)
        for rules in given
    )
