"""One spelling for one host, so that what is decided is what is connected to."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from trilemma.errors import SpecError

LONGEST_INPUT = 1024
LONGEST_NAME = 253

_FORBIDDEN = re.compile(r'[\x00-\x20\x7f%@/\\?#<>^|"`{}\[\]]')
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def canonical_host(text: str) -> str:
    """The one spelling of a host name or address.

    Lower case, IDNA (UTS 46), no trailing dot. An IPv4 address in any of the spellings that
    resolvers accept (decimal, octal, hexadecimal, short) becomes dotted; an IPv6 address, in
    brackets or not, its shortest form; an IPv4-mapped one the IPv4 address that it reaches.

    Raises:
        SpecError: not a host, or one that carries userinfo, escapes or a zone.

    """
    if not text or len(text) > LONGEST_INPUT:
        raise SpecError(f"not a host: {text[:80]!r}")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _FORBIDDEN.search(bare):
        raise SpecError(
            f"not a host: {text!r}; userinfo, escapes, zones and separators are refused"
        )
    if ":" in bare:
        return _ipv6(bare, text)
    if bare != text:
        raise SpecError(f"not an IPv6 address: {text!r}")
    name = _ascii(bare).removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return str(IPv4Address(_ipv4(name, text)))
    return _name(name, text)


def canonical_port(text: str) -> int:
    """A port, written in plain digits.

    Raises:
        SpecError: not a port.

    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise SpecError(f"not a port: {text[:16]!r}; a port is 1 to 65535")
    return int(text)


def _ipv6(bare: str, text: str) -> str:
    try:
        address = IPv6Address(bare)
    except AddressValueError:
        raise SpecError(f"not an IPv6 address: {text!r}") from None
    return str(address.ipv4_mapped or address)


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    import idna  # 10 ms, needed by few

    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except UnicodeError:
        raise SpecError(f"not a host name: {text!r}") from None


def _ipv4(name: str, text: str) -> int:
    parts = [_ipv4_part(part, text) for part in name.split(".")]
    *leading, last = parts
    if len(parts) > 4 or any(part > 255 for part in leading) or last >= 256 ** (5 - len(parts)):
        raise SpecError(f"not an IPv4 address: {text!r}")
    return last + sum(part << (24 - 8 * place) for place, part in enumerate(leading))


def _ipv4_part(part: str, text: str) -> int:
    if re.fullmatch(r"0x[0-9a-f]{1,64}", part):
        return int(part, 16)
    if re.fullmatch(r"0[0-7]{1,64}", part):
        return int(part, 8)
    if re.fullmatch(r"0|[1-9][0-9]{0,63}", part):
        return int(part)
    raise SpecError(f"not an IPv4 address: {text!r}")


def _name(name: str, text: str) -> str:
    if len(name) > LONGEST_NAME or not all(_LABEL.fullmatch(part) for part in name.split(".")):
        raise SpecError(f"not a host name: {text!r}")
    for part in name.split("."):
        if part.startswith("xn--"):
            _check_punycode(part, text)
    return name


def _check_punycode(label: str, text: str) -> None:
    """Refuse a label that is not what its own Unicode form encodes to: two names, one host."""
    import idna

    try:
        round_trip = idna.encode(idna.decode(label), uts46=True).decode("ascii")
    except UnicodeError:
        round_trip = ""
    if round_trip != label:
        raise SpecError(f"not a host name: {text!r}; {label!r} is not valid IDNA")
