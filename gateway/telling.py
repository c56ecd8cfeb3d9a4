"""The first event of a session, for those who watch."""

from ..subagents.events import SessionOpened
from .interface import Session


def opened(session: Session) -> SessionOpened:
    """Where it is, and what it holds and may hold."""
    state = session.state()
    return SessionOpened(
        session=session.id,
        domain=session.domain,
        grants=state.grants,
        held=state.held,
        layer=session.layer,
        notes=tuple(session.notes),
        run=session.run,
    )
