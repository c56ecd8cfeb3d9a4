"""A person's side of workspaces: list them, look at what a layer holds, apply it, discard it."""

from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import WorkspaceError

from ...policy.capability import NONE, CapabilitySet, ordered
from ...sandbox.folder import Folder
from ..ledger.events import Event, Kind, Use
from ..ledger.store import Ledger
from . import render
from .apply import Applied, apply
from .changes import Changes, printable
from .diff import diff
from .identity import identify
from .layers import Layer, Layers
from .places import Places, read_places
from .vouch import Vouching

_LISTED = 2000
"""Paths that one event names. Its digest covers them all."""


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """One known workspace."""

    workspace: str
    path: Path
    label: CapabilitySet
    seen: str
    """When it was seen last, ISO 8601."""
    open: bool
    """A session has it open."""
    layers: tuple[Layer, ...]


class Review:
    """Works on the ledger and the layers alone: no gateway need run."""

    def __init__(self, ledger: Ledger, layers: Path) -> None:
        self.layers = Layers(layers)
        self._ledger = ledger

    def workspaces(self) -> tuple[WorkspaceRow, ...]:
        """Every workspace that the ledger knows, by path."""
        layers = list(self.layers)
        rows = []
        for sighting in self._places():
            state = self._ledger.workspace(sighting.workspace)
            rows.append(
                WorkspaceRow(
                    workspace=sighting.workspace,
                    path=sighting.place.path,
                    label=state.label if state else NONE,
                    seen=sighting.at,
                    open=bool(state and state.opened),
                    layers=tuple(x for x in layers if x.workspace == sighting.workspace),
                )
            )
        return tuple(sorted(rows, key=lambda row: row.path))

    def find(self, name: str) -> Layer:
        """A layer by its id, or by the path of a folder that has just one.

        Raises:
            WorkspaceError: there is none, or more than one.
        """
        if name.startswith("layer-"):
            return self.layers.get(name)
        path = Path(name).expanduser().resolve()
        workspace = self._places().of_path(path)
        found = [layer for layer in self.layers if layer.workspace == workspace]
        if len(found) == 1:
            return found[0]
        names = ", ".join(layer.id for layer in found) or "none"
        raise WorkspaceError(f"name one layer of {name!r} by its id; it has: {names}")

    def diff(self, layer: Layer) -> Changes:
        """What applying the layer would do now.

        Raises:
            WorkspaceError: the folder is gone, or is not the layer's workspace any more.
        """
        return diff(layer, self._folder(layer))

    def render(self, changes: Changes, *, content: bool = True) -> str:
        """The changes as text for a terminal.

        Raises:
            WorkspaceError: the folder or the layer is gone.
        """
        layer = self.layers.get(changes.layer)
        return render.render(changes, layer, self._folder(layer), content=content)

    def apply(self, changes: Changes, principal: str) -> Applied:
        """Do what a person saw and approved, and record who.

        The folder keeps its label: its owner vouches for what was applied, by name. A layer of
        which nothing is left is removed.

        Raises:
            WorkspaceError: the layer is in use, or either side moved on; then nothing was done.
            LedgerError: it cannot be recorded; then nothing was done.
        """
        layer = self.layers.get(changes.layer)
        folder = self._folder(layer)
        with layer.locked():
            self._refuse_writers(layer)
            event = self._event(Kind.LAYER_APPLIED, layer, principal, _applied_body(changes))
            applied = apply(changes, layer, folder, lambda: self._ledger.append(event))
            files = {printable(c.path): c.new.sha256 for c in applied.changes if c.new}
            layer.with_applied(files).save()
            left = diff(layer, folder)
            if not left and not left.refused:
                self.layers.remove(layer)
        return applied

    def discard(self, layer: Layer, principal: str) -> None:
        """Throw a layer away, and record who.

        Raises:
            WorkspaceError: it is in use, or cannot be deleted.
            LedgerError: it cannot be recorded; then it is still there.
        """
        with layer.locked():
            self._ledger.append(self._event(Kind.LAYER_DISCARDED, layer, principal, {}))
            self.layers.remove(layer)

    def _folder(self, layer: Layer) -> Folder:
        sighting = self._places().newest(layer.workspace)
        folder = Folder.at(sighting.place.path if sighting else Path(layer.folder))
        found = identify(folder, self._places(), Vouching(self._ledger))
        if found.workspace != layer.workspace:
            raise WorkspaceError(
                f"{str(folder.path)!r} is not the workspace that layer {layer.id!r} was made for"
                f"{': ' + found.why if found.why else ''}; move it back, or discard the layer"
            )
        return folder

    def _refuse_writers(self, layer: Layer) -> None:
        state = self._ledger.workspace(layer.workspace)
        if state and any(opened.use is Use.WRITE for opened in state.opened):
            raise WorkspaceError("a session has the folder open for writing; end it first")

    def _event(self, kind: Kind, layer: Layer, principal: str, body: dict[str, object]) -> Event:
        label = self._ledger.label(layer.id) or NONE
        return Event(
            kind=kind,
            principal=principal,
            workspace=layer.workspace,
            what=layer.id,
            body={"layer": layer.id, "label": [str(c) for c in ordered(label)], **body},
        )

    def _places(self) -> Places:
        return read_places(self._ledger, Places())


def _applied_body(changes: Changes) -> dict[str, object]:
    rows = sorted(changes.changes, key=lambda change: change.path)[:_LISTED]
    return {
        "digest": changes.digest,
        "count": len(changes.changes),
        "files": {printable(c.path): c.new.sha256 or str(c.new.kind) for c in rows if c.new},
        "deleted": [printable(c.path) for c in rows if c.new is None],
    }
