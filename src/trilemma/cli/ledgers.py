"""The ledger that commands read, where there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

from trilemma.cli.failure import Stop
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.settings import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Ledger]:
    """The ledger. Looking at it does not make one.

    Raises:
        Stop: there is none yet.
        LedgerError: it cannot be read or trusted.
    """
    require(settings)
    with Ledger.open(
        settings.ledger, durability=settings.durability, anchor=settings.anchor
    ) as ledger:
        yield ledger


def require(settings: Settings) -> None:
    """Refuse where nothing was ever recorded.

    Raises:
        Stop: there is no ledger.
    """
    if not settings.ledger.exists():
        raise Stop(f"there is no ledger at {str(settings.ledger)!r}: nothing has run here yet")
