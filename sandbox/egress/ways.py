"""What a connection from a sandbox is served with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .dial import Dialer
from .meter import Meter
from .request import EgressAnswer, EgressOutcome, EgressRequest


@dataclass(frozen=True, slots=True)
class Ways:
    """All that serves one domain's connections. There is no way out but through these."""

    number: Callable[[], int]
    """A number for a request: one ask and at most one report carry it."""
    ask: Callable[[int, EgressRequest], Awaitable[EgressAnswer]]
    report: Callable[[int, EgressOutcome], None]
    dialer: Dialer
    meter: Meter
    """What may leave through this process in all."""
