"""The event of a session that lets go of what it had open."""

from collections.abc import Iterable

from ..ledger.events import Event, Kind
from .opening import Opening


def closed(opening: Opening, workspace: str, what: str, names: Iterable[str]) -> Event:
    """The session has these no longer open: a workspace, its layer, a copy."""
    return Event(
        kind=Kind.WORKSPACE_CLOSED,
        **opening.by,
        workspace=workspace,
        what=what,
        closes=frozenset(names),
    )
