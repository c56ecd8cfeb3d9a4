"""What a run may use, and what it has used."""

import math
from dataclasses import dataclass, field

from trilemma.errors import SpecError

from ..inference.messages import Usage

_WHOLE = ("steps", "tokens", "bytes_out")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The limits of one agent and of everybody below it. None means no limit of its own.

    ::

        RunLimits(steps=20, usd=0.50, seconds=120)
    """

    steps: int | None = 50
    """How often a model is asked."""
    tokens: int | None = None
    """Tokens that go to a model and come back, all steps together."""
    usd: float | None = None
    """What the model's provider charges. The step that passes it is the last."""
    seconds: float | None = None
    """Wall-clock time. The only limit that ends a call in the middle."""
    bytes_out: int | None = None
    """Bytes that leave through requests and tunnels."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not _positive(value, whole=name in _WHOLE):
                kind = "whole number" if name in _WHOLE else "number"
                raise SpecError(f"limit {name!r} must be a {kind} above 0, not {value!r}")


UNLIMITED = RunLimits(steps=None)
"""No limits but those of whoever is above."""


def narrowest(one: RunLimits, other: RunLimits) -> RunLimits:
    """The smaller of each limit."""
    limits = {}
    for name in RunLimits.__slots__:
        values = [v for v in (getattr(one, name), getattr(other, name)) if v is not None]
        limits[name] = min(values) if values else None
    return RunLimits(**limits)


def _positive(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if whole and not isinstance(value, int):
        return False
    return math.isfinite(value) and value > 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been used so far."""

    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    bytes_out: int = 0

    @property
    def tokens(self) -> int:
        """Tokens in both directions. Cached tokens are part of the input."""
        return tokens(self.usage)

    def after_step(self, usage: Usage) -> "Spent":
        """With one more model call."""
        return Spent(self.steps + 1, self.usage + usage, self.bytes_out)


def tokens(usage: Usage) -> int:
    """Tokens in both directions, as limits count them."""
    return usage.input_tokens + usage.output_tokens
