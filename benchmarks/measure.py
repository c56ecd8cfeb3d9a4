"""What a benchmark finds: samples, ratios against a peer, and targets."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Sample:
    """One quantity, measured ``n`` times. Quantiles are measured values, never interpolated."""

    name: str
    n: int
    p50: float
    p95: float
    p99: float
    best: float
    unit: str

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str = "ms") -> Self:
        """Sum up what was measured, in the unit named."""
        found = sorted(values)
        return cls(
            name,
            len(found),
            _quantile(found, 0.50),
            _quantile(found, 0.95),
            _quantile(found, 0.99),
            found[0],
            unit,
        )

    @classmethod
    def of_seconds(cls, name: str, seconds: Sequence[float]) -> Self:
        """Sum up times, in milliseconds."""
        return cls.of(name, [1000 * value for value in seconds])


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long as ours the peer takes, by the medians of one run."""

    name: str
    value: float

    @classmethod
    def between(cls, peer: Sample, ours: Sample) -> Self:
        """``peer`` over ``ours``."""
        return cls(f"{peer.name} / {ours.name}", peer.p50 / ours.p50)


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is on the right side of the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Finding:
    """All that one benchmark found."""

    samples: tuple[Sample, ...]
    ratios: tuple[Ratio, ...] = ()
    targets: tuple[Target, ...] = ()


def timed(step: Callable[[], object], n: int) -> list[float]:
    """The seconds that each of ``n`` runs of ``step`` takes."""
    return [_seconds(step) for _ in range(n)]


async def timed_async(step: Callable[[], Awaitable[object]], n: int) -> list[float]:
    """The seconds that each of ``n`` awaited runs of ``step`` takes."""
    seconds = []
    for _ in range(n):
        started = time.perf_counter()
        await step()
        seconds.append(time.perf_counter() - started)
    return seconds


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _quantile(found: Sequence[float], share: float) -> float:
    return found[min(len(found) - 1, int(len(found) * share))]
