"""What may be spent, in whole units."""

import math
from typing import Literal

from .limits import RunLimits

Kind = Literal["steps", "tokens", "usd", "bytes_out"]
KINDS: tuple[Kind, ...] = ("steps", "tokens", "usd", "bytes_out")

_NANO = 1_000_000_000
_UNITS = {"steps": "steps", "tokens": "tokens", "bytes_out": "bytes out"}


def limit_of(limits: RunLimits, kind: Kind) -> int | None:
    """A limit in whole units: money in billionths of a dollar, rounded down."""
    value: float | None = getattr(limits, kind)
    if value is None:
        return None
    return math.floor(value * _NANO) if kind == "usd" else int(value)


def billionths(usd: float) -> int:
    """Money that was spent, rounded up."""
    return math.ceil(usd * _NANO)


def dollars(billionths: int) -> float:
    """Money as people write it."""
    return billionths / _NANO


def shown(kind: Kind, amount: int) -> str:
    """An amount in words: ``20 steps``, ``$0.5``."""
    return f"${dollars(amount):.4g}" if kind == "usd" else f"{amount} {_UNITS[kind]}"
