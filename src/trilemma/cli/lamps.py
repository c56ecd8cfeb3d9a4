"""Three lamps: what a domain may hold, and what it holds."""

from rich.text import Text

from trilemma.policy.capability import Capability, CapabilitySet
from trilemma.policy.rule import LIMIT

_HELD = ("●", "bold green")
_GRANTED = ("◐", "yellow")
_DARK = ("○", "bright_black")


def lamps(grants: CapabilitySet | None, held: CapabilitySet) -> Text:
    """Dark where it can never be held, half where it is granted, full where it is held."""
    text = Text()
    for capability in Capability:
        sign, style = _lamp(capability, grants, held)
        text.append(f"{sign} {capability}", style)
        text.append("  ")
    text.rstrip()
    return text


def _lamp(
    capability: Capability, grants: CapabilitySet | None, held: CapabilitySet
) -> tuple[str, str]:
    if capability in held:
        return _HELD
    # Without grants the first two that are taken latch; then the third goes dark.
    free = len(held) < LIMIT if grants is None else capability in grants
    return _GRANTED if free else _DARK
