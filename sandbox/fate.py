"""What became of a gateway whose containers and volumes an engine still has.

Several machines may use one engine, and gateways in containers too, of this version or another. So
there are three answers, and only one of them lets anybody remove something.
"""

from enum import StrEnum

from .runtime import Instance


class Fate(StrEnum):
    """Of a gateway, as far as this process can know."""

    RUNS = "runs"
    GONE = "gone"
    """Certainly: its process is not there any more, and it was a process of this system."""
    UNKNOWN = "unknown"
    """It was started elsewhere, or its name is one that this version does not give."""


def fate(name: str) -> Fate:
    """What became of the gateway of that name."""
    found = Instance.parse(name)
    # What could be seen from here needs no more: a boot is one machine's alone.
    if found is None or not (found.visible or found.of_this_machine):
        return Fate.UNKNOWN
    if not found.alive():
        return Fate.GONE
    return Fate.RUNS if found.visible else Fate.UNKNOWN
