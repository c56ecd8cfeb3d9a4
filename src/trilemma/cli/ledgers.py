"""The ledger that commands read, where there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

from trilemma.cli.failure import Stop
from trilemma.errors import LedgerTampered
from trilemma.gateway.ledger.anchor import Anchor
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import Verified, verify
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


def verified(settings: Settings) -> Verified:
    """The ledger, checked from its first event to its newest.

    Raises:
        Stop: there is none, and nothing says that there was.
        LedgerTampered: it was changed, or is gone while something of it is still there.
    """
    if not settings.ledger.exists():
        _refuse_lost(settings)
    require(settings)
    found = verify(settings.ledger, anchor=settings.anchor)
    if not found.events:
        _refuse_lost(settings)
    return found


def _refuse_lost(settings: Settings) -> None:
    """Whoever empties or removes a ledger leaves an anchor behind, and layers."""
    mark = Anchor(settings.anchor).read() if settings.anchor else None
    if mark:
        raise mark.missing()
    layers = sorted(settings.layers.iterdir()) if settings.layers.is_dir() else []
    if layers:
        raise LedgerTampered(
            f"the ledger {str(settings.ledger)!r} holds no event, and layer {layers[0].name!r} was "
            "made under one that did: put that one back, or remove the layers to begin anew"
        )
