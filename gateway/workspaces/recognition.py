"""Which workspace a folder is; one that nobody has seen becomes one."""

import threading

from ...policy.capability import NONE
from ...sandbox.folder import Folder
from ..ledger.events import Event, Head, Kind
from ..ledger.store import Ledger
from ..ledger.view import View
from . import records
from .identity import Identity, identify
from .mark import Mark, write_mark
from .opening import Opening, Origin
from .places import Place, Places, read_places
from .vouch import Vouching


class Recognition:
    """Knows folders by one ledger. Safe between threads and between processes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._vouches = Vouching(ledger)
        self._seen = Places()
        self._lock = threading.Lock()

    def identity(self, folder: Folder, opening: Opening) -> tuple[Identity, bool]:
        """Which workspace the folder is, and whether it has become one just now.

        Raises:
            WorkspaceError: the folder overlaps another workspace, or was replaced.
            LedgerError: it cannot be recorded.
        """
        places = self._places()
        # Read before the look: what is added later is looked at again, under the ledger's lock.
        upto = places.upto
        found = identify(folder, places, self._vouches)
        if found.workspace is not None:
            self._join_declared(found.workspace, folder, opening)
        if found.workspace is not None or not found.known:
            return found, False
        event = records.created(
            folder,
            opening.origin or Origin.OWN,
            opening.principal,
            declared=opening.origin is not None,
        )

        def unless_seen(view: View) -> list[Event]:
            since = Places()
            since.add(view.page(upto, {"kind": Kind.WORKSPACE_CREATED}))
            place = Place.of(folder)
            return [] if since.of_folder(place) or since.of_path(place.path) else [event]

        made = self._ledger.transact(unless_seen)
        if not made:
            # Another session was first.
            return self.identity(folder, opening)
        self.mark(folder, event.workspace, made[0].head)
        return Identity(event.workspace, known=True), True

    def _join_declared(self, workspace: str, folder: Folder, opening: Opening) -> None:
        label = self._ledger.label(workspace) or NONE
        if opening.origin is not None and not opening.origin.label <= label:
            event = records.joined(folder, workspace, opening.origin, opening.principal)
            self._ledger.append(event)

    def mark(self, folder: Folder, workspace: str, head: Head) -> None:
        """Leave a mark on the folder that says what it is."""
        write_mark(folder, Mark.of(workspace, self._ledger.ledger_id, head))

    def _places(self) -> Places:
        with self._lock:
            return read_places(self._ledger, self._seen)
