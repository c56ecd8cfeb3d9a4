"""Which addresses may be connected to: public ones, and what the operator names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from trilemma.errors import SpecError

from .addresses import Address, AddressClass, classify, is_own, reached
from .hosts import canonical_port

_WIDE = frozenset({AddressClass.PUBLIC, AddressClass.PRIVATE, AddressClass.RESERVED})
"""What a range of the operator can open. All else has to be named address by address."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """An address or a range that the operator opened, on one port or on all."""

    network: IPv4Network | IPv6Network
    port: int | None

    def covers(self, address: Address, port: int, kind: AddressClass) -> bool:
        """Whether it opens ``port`` of ``address``."""
        if self.port not in (None, port) or address not in self.network:
            return False
        return self.network.num_addresses == 1 or kind in _WIDE


def parse_exemption(text: str) -> Exemption:
    """Read ``10.0.0.0/8``, ``10.0.0.7``, ``10.0.0.7:8443``, ``fd00::7`` or ``[fd00::7]:443``.

    Raises:
        SpecError: not one of these.

    """
    network, port = text, None
    if text.startswith("["):
        network, closed, rest = text[1:].partition("]")
        port = canonical_port(rest.removeprefix(":")) if rest.startswith(":") else None
        if not closed or (rest and port is None):
            raise SpecError(f"not an address or range: {text!r}")
    elif text.count(":") == 1:
        network, _, digits = text.partition(":")
        port = canonical_port(digits)
    try:
        return Exemption(ip_network(network), port)
    except ValueError:
        raise SpecError(
            f"not an address or range: {text!r}; write 10.0.0.0/8, 10.0.0.7 or 10.0.0.7:8443"
        ) from None


class Reach:
    """Judges addresses. Only public ones pass, unless the operator opened them by name."""

    def __init__(self, private: Iterable[str], own: Callable[[Address], bool] = is_own) -> None:
        self._exemptions = tuple(parse_exemption(text) for text in private)
        self._own = own

    def refusal(self, address: Address, port: int) -> AddressClass | None:
        """Why ``address`` may not be connected to; None where it may."""
        final = reached(address)
        kind = classify(final)
        if kind in _WIDE and self._own(final):
            kind = AddressClass.OWN
        if kind is AddressClass.PUBLIC:
            return None
        if any(exemption.covers(final, port, kind) for exemption in self._exemptions):
            return None
        return kind
