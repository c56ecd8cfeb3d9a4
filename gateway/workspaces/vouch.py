"""Whether a ledger vouches for a folder's mark."""

from ..ledger.store import Ledger
from .mark import Mark


class Vouching:
    """Looks up in one ledger all that a mark says."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __call__(self, mark: Mark) -> bool:
        """Whether this ledger wrote the mark, and still has the event that it names."""
        if mark.ledger != self._ledger.ledger_id or not self._ledger.knows(mark.seq, mark.hash):
            return False
        recorded = self._ledger.event(mark.seq)
        return recorded is not None and recorded.event.workspace == mark.workspace
