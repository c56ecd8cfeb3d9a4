"""Declassification: a person says that named files no longer carry what a label says of them.

It is the one event by which a label loses something. No session can record it: it names no domain
and no session, and all that an agent does names both.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from trilemma.errors import LedgerError, WorkspaceError

from ...policy.capability import show
from .events import Event, Kind
from .fold import WorkspaceState

Contents = Mapping[str, str]
"""What there is, by path: of files the sha256 of their content."""


def contents_digest(contents: Contents) -> str:
    """``sha256:...`` of everything that a person was shown."""
    text = json.dumps(dict(contents), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


def check_declassified(event: Event, workspace: Callable[[str], WorkspaceState | None]) -> None:
    """Refuse an event that takes something out of a label and is no declassification.

    Raises:
        LedgerError: it is not a person's, does not name what it is about, or takes nothing.
        WorkspaceError: somebody has it open.
    """
    if event.kind is not Kind.WORKSPACE_DECLASSIFIED or len(event.drops) != 1:
        raise LedgerError(f"{event.kind} cannot take anything out of a label")
    if event.domain or event.session or not event.principal:
        raise LedgerError(f"{event.kind} is a person's act, and of no session")
    if event.joins or event.opens or event.closes or event.takes:
        raise LedgerError(f"{event.kind} does nothing else")
    ((name, drops),) = event.drops.items()
    state = workspace(name)
    if state is None or not drops or not drops <= state.label:
        carries = "nothing that is known" if state is None else show(state.label)
        raise LedgerError(f"{name!r} carries {carries}: {show(drops)} cannot be taken out")
    if state.opened:
        raise WorkspaceError(f"{name!r} is in use; end its sessions first")
    if not _names_its_files(event.body):
        raise LedgerError(f"{event.kind} must name every file that it is about, by its hash")


def _names_its_files(body: Mapping[str, Any]) -> bool:
    files = body.get("files")
    return isinstance(files, dict) and body.get("digest") == contents_digest(files)
