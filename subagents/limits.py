"""What a run may use, and what it has used."""

import math
from dataclasses import dataclass, field

from trilemma.errors import LimitReached, SpecError

from ..inference.messages import Usage


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The limits of one run. None means no limit.

    ::

        RunLimits(steps=20, usd=0.50, seconds=120)
    """

    steps: int = 50
    """How often the model is asked."""
    tokens: int | None = None
    """Tokens that go to the model and come back, all steps together."""
    usd: float | None = None
    """What the model's provider charges. The step that passes it is the last."""
    seconds: float | None = None
    """Wall-clock time. The only limit that ends a call in the middle."""

    def __post_init__(self) -> None:
        for name in ("steps", "tokens", "usd", "seconds"):
            value = getattr(self, name)
            if value is None and name != "steps":
                continue
            if not _positive(value, whole=name in ("steps", "tokens")):
                kind = "whole number" if name in ("steps", "tokens") else "number"
                raise SpecError(f"limit {name!r} must be a {kind} above 0, not {value!r}")


def _positive(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if whole and not isinstance(value, int):
        return False
    return math.isfinite(value) and value > 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used so far."""

    steps: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def tokens(self) -> int:
        """Tokens in both directions. Cached tokens are part of the input."""
        return self.usage.input_tokens + self.usage.output_tokens

    def after_step(self, usage: Usage) -> "Spent":
        """With one more model call."""
        return Spent(self.steps + 1, self.usage + usage)


def check(limits: RunLimits, spent: Spent) -> None:
    """Called before each step.

    Raises:
        LimitReached: nothing is left of one of them.

    """
    if spent.steps >= limits.steps:
        raise LimitReached("steps", f"the limit of {limits.steps} steps is used up")
    if limits.tokens is not None and spent.tokens >= limits.tokens:
        raise LimitReached(
            "tokens", f"the limit of {limits.tokens} tokens is used up ({spent.tokens} used)"
        )
    if limits.usd is not None and not spent.usage.priced:
        raise LimitReached(
            "usd", f"the limit of ${limits.usd:g} cannot be kept: the model has no known price"
        )
    if limits.usd is not None and spent.usage.cost_usd >= limits.usd:
        raise LimitReached(
            "usd", f"the limit of ${limits.usd:g} is used up (${spent.usage.cost_usd:.4f} spent)"
        )


def out_of_time(limits: RunLimits) -> LimitReached:
    """The error of a run whose time is over."""
    return LimitReached("seconds", f"the limit of {limits.seconds:g} seconds is used up")
