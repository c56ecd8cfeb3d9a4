"""The three capabilities, and sets of them."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import combinations

from trilemma.errors import SpecError


class Capability(StrEnum):
    """One of the three things an agent may do."""

    FILES = "files"
    INTERNET = "internet"
    CODE = "code"


CapabilitySet = frozenset[Capability]

NONE: CapabilitySet = frozenset()
ALL: CapabilitySet = frozenset(Capability)

# The ledger stores a set as an integer; the bits are part of its format and never change.
_BITS = {Capability.FILES: 1, Capability.INTERNET: 2, Capability.CODE: 4}

# There are eight sets; every decision orders several.
_ORDERED: dict[CapabilitySet, tuple[Capability, ...]] = {
    frozenset(members): members
    for size in range(len(Capability) + 1)
    for members in combinations(Capability, size)
}


def parse(names: Iterable[str]) -> CapabilitySet:
    """Read capability names as a person writes them.

    Raises:
        SpecError: a name is not a capability, or ``names`` is a bare string.

    """
    if isinstance(names, str):
        raise SpecError(f"capabilities must be a list such as [files, code], not {names!r}")
    found = set()
    for name in names:
        try:
            found.add(Capability(name))
        except ValueError:
            known = ", ".join(Capability)
            raise SpecError(f"unknown capability {name!r}; the three are: {known}") from None
    return frozenset(found)


def ordered(capabilities: CapabilitySet) -> tuple[Capability, ...]:
    """The members in the order files, internet, code."""
    return _ORDERED[capabilities]


def show(capabilities: CapabilitySet) -> str:
    """The set as people write it: ``{files, code}``."""
    return "{" + ", ".join(ordered(capabilities)) + "}"


def to_bits(capabilities: CapabilitySet) -> int:
    """The set as the ledger stores it."""
    return sum(_BITS[c] for c in capabilities)


def from_bits(bits: int) -> CapabilitySet:
    """The set that :func:`to_bits` stored. Unknown bits raise ``ValueError``."""
    if not 0 <= bits <= 7:
        raise ValueError(f"not a capability set: {bits!r}")
    return frozenset(c for c, bit in _BITS.items() if bits & bit)
