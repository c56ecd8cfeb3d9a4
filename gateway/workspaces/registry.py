"""Open workspaces. Every label is in the ledger before anything is mounted."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from trilemma.errors import Denied, WorkspaceError

from ...policy.capability import ALL, NONE, CapabilitySet
from ...policy.decision import Decision
from ...policy.explain import explain
from ...policy.request import AccessRequest
from ...sandbox.folder import Folder
from ..ledger.events import Event
from ..ledger.fold import Held
from ..ledger.store import Ledger
from ..ledger.view import View as LedgerView
from . import records
from .identity import Identity
from .layers import Layer, Layers
from .opened import OpenWorkspace, Views
from .opening import Mode, Opening
from .recognition import Recognition
from .roots import refuse_root, refuse_rules
from .snapshots import OpenSnapshot, Snapshot, Snapshots

Decide = Callable[[AccessRequest], Decision]


class Workspaces:
    """The workspaces that one ledger knows. Safe between threads and between processes."""

    def __init__(
        self,
        ledger: Ledger,
        layers: Path,
        views: Views,
        *,
        own: Iterable[Path] = (),
        rules: Iterable[Path] = (),
        snapshots: Snapshots | None = None,
    ) -> None:
        """``own`` are Trilemma's folders, which no workspace may hold or lie in.

        ``rules`` are what says what agents may do: no workspace that is written to directly
        may hold them.
        """
        self.layers = Layers(layers)
        self._ledger = ledger
        self._views = views
        self._snapshots = snapshots
        self._own = (layers, *own)
        self._rules = tuple(rules)
        self._recognition = Recognition(ledger)

    def open(self, opening: Opening, decide: Decide) -> OpenWorkspace | OpenSnapshot:
        """Open a folder for a session: its label joins the domain, the domain's its layer.

        Nothing is mounted yet; :meth:`OpenWorkspace.view` does that.

        Raises:
            Denied: the domain cannot absorb the label, or nobody can say what it is.
            WorkspaceError: the folder or the layer cannot be opened, or is in use.
            LedgerError: it cannot be recorded.
        """
        folder = self._folder(opening)
        identity, first = self._recognition.identity(folder, opening)
        if identity.workspace is None:
            raise self._unknown(folder, identity, opening, decide)
        undeclared = first and opening.origin is None
        if opening.mode is Mode.SNAPSHOT:
            snapshot = self._snapshot(identity.workspace, folder, opening, decide)
            return OpenSnapshot(
                self._ledger,
                self._views,
                folder,
                identity.workspace,
                snapshot,
                opening,
                undeclared=undeclared,
            )
        layer = self._layer(identity.workspace, folder, opening)
        names = (identity.workspace,) if layer is None else (identity.workspace, layer.id)
        opened = partial(records.opened, folder, identity.workspace, layer, opening)
        try:
            self._reserve(identity.workspace, names, folder, opening, decide, opened)
        except BaseException:
            if layer is not None and opening.layer is None:
                self.layers.remove(layer)
            raise
        return OpenWorkspace(
            self._ledger,
            self._views,
            folder,
            identity.workspace,
            layer,
            opening,
            undeclared=undeclared,
        )

    def reopen(self, closed: OpenWorkspace, decide: Decide) -> None:
        """Open again, for the same session, what it had closed; that is decided anew.

        Raises:
            Denied: the domain cannot absorb what the label has become.
            WorkspaceError: another domain has it now, the folder is another, or the layer is gone.
            LedgerError: it cannot be recorded.
        """
        opening, layer = closed.opening, closed.layer
        folder = self._folder(opening)
        identity, _ = self._recognition.identity(folder, opening)
        if identity.workspace != closed.workspace:
            raise WorkspaceError(f"the folder {str(folder.path)!r} is not the one that it was")
        if layer is not None:
            layer = self._known_layer(layer.id, closed.workspace)
        names = (closed.workspace,) if layer is None else (closed.workspace, layer.id)
        opened = partial(records.opened, folder, closed.workspace, layer, opening)
        self._reserve(closed.workspace, names, folder, opening, decide, opened)
        closed.reopened(folder)

    def close(self) -> None:
        """Take back every view that is left. The sandboxes are gone by then."""
        self._views.close()
        if self._snapshots is not None:
            self._snapshots.close()

    def _folder(self, opening: Opening) -> Folder:
        """The folder, where it lies now and may be opened."""
        folder = Folder.at(opening.path)
        refuse_root(folder.path, self._own)
        if opening.mode is Mode.DIRECT:
            refuse_rules(folder.path, (*self._rules, *opening.sources))
        return folder

    def _layer(self, workspace: str, folder: Folder, opening: Opening) -> Layer | None:
        if opening.mode is Mode.DIRECT and opening.layer is not None:
            raise WorkspaceError("mode: direct has no layer to continue; use mode: layer")
        if opening.mode is Mode.DIRECT:
            return None
        if opening.layer is not None:
            return self._known_layer(opening.layer, workspace)
        layer = self.layers.create(workspace, folder.path, opening.session)
        try:
            self._ledger.append(records.layer_created(layer, opening))
        except BaseException:
            self.layers.remove(layer)
            raise
        return layer

    def _known_layer(self, name: str, workspace: str) -> Layer:
        layer = self.layers.get(name)
        if layer.workspace != workspace:
            raise WorkspaceError(
                f"layer {layer.id!r} belongs to the workspace {layer.folder!r}; continue it "
                "with that folder"
            )
        return layer

    def _snapshot(
        self, workspace: str, folder: Folder, opening: Opening, decide: Decide
    ) -> Snapshot:
        """Copy, with the label from before and from after that.

        Whoever writes meanwhile has joined it by then. Whoever declassifies meanwhile was shown
        other files, perhaps, than those that were copied.
        """
        if self._snapshots is None:
            raise WorkspaceError("no snapshot can be made here: no gateway runs")
        layer = self._known_layer(opening.layer, workspace) if opening.layer else None
        names = (workspace,) if layer is None else (workspace, layer.id)
        before = self._label(names)
        taken = self._snapshots.take(folder, layer)

        def known(view: LedgerView) -> list[Event]:
            label = before
            for name in names:
                state = view.workspace(name)
                label |= ALL if state is None else state.label
            return [records.snapshot(folder, workspace, layer, taken, opening, label)]

        opened = partial(records.snapshot_opened, folder, workspace, taken, opening)
        try:
            self._ledger.transact(known)
            self._reserve(workspace, (taken.id,), folder, opening, decide, opened)
        except BaseException:
            taken.remove()
            raise
        return taken

    def _reserve(
        self,
        workspace: str,
        names: tuple[str, ...],
        folder: Folder,
        opening: Opening,
        decide: Decide,
        opened: Callable[[CapabilitySet, str], Event],
    ) -> None:
        """Decide that the session sees ``names``, whose labels its domain takes."""

        def build(held: Held) -> AccessRequest:
            return records.open_request(opening, held, self._label(names), known=True)

        def event(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
            if not decision.allowed:
                return records.denied(opening, workspace, decision)
            return opened(new, decision.digest)

        made = self._ledger.reserve(opening.domain, build, decide, event)
        if not made.decision.allowed:
            raise Denied(explain(made.request, made.decision), reasons=made.decision.reasons)
        self._recognition.mark(folder, workspace, made.recorded.head)

    def _unknown(
        self, folder: Folder, identity: Identity, opening: Opening, decide: Decide
    ) -> Denied:
        """Record that a folder was refused for which nobody vouches, and say how to go on."""

        def build(held: Held) -> AccessRequest:
            return records.open_request(opening, held, ALL, known=False)

        def event(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
            return records.denied(opening, "", decision)

        made = self._ledger.reserve(opening.domain, build, decide, event)
        path = str(folder.path)
        return Denied(
            f"workspace {path!r} counts as written by files, internet and code: {identity.why}. "
            f"If you know who wrote it, say so: trilemma workspace declare {path!r} --origin own "
            "(or strangers)",
            reasons=made.decision.reasons,
        )

    def _label(self, names: Iterable[str]) -> CapabilitySet:
        label = NONE
        for name in names:
            found = self._ledger.label(name)
            label |= ALL if found is None else found
        return label
