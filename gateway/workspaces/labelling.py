"""A person's acts on labels: see one, add to it, take something out, say who wrote a folder."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import WorkspaceError

from ...policy.capability import ALL, CapabilitySet, ordered, show
from ...sandbox.carried.record import Record
from ...sandbox.folder import Folder
from ...sandbox.maymount import refuse_half_read
from ..ledger.events import Event, Kind, Recorded
from ..ledger.store import Ledger
from ..ledger.view import View
from . import records
from .contents import Named, name_contents
from .identity import identify
from .layers import Layer, Layers
from .mark import Mark, write_mark
from .opening import Origin
from .places import Places, read_places
from .roots import refuse_root
from .vouch import Vouching


@dataclass(frozen=True, slots=True)
class Labelled:
    """A workspace or a layer that has a label."""

    id: str
    workspace: str
    """The workspace that it is, or that the layer is of."""
    where: Folder | Layer
    label: CapabilitySet
    open: bool
    """A session has it open."""
    causes: tuple[Recorded, ...]
    """The events that added to the label or took something out, oldest first."""


class Labelling:
    """Works on the ledger alone: no gateway need run."""

    def __init__(self, ledger: Ledger, layers: Path, own: Iterable[Path] = ()) -> None:
        """``own`` are Trilemma's folders, which no workspace may hold or lie in."""
        self._ledger = ledger
        self._layers = Layers(layers)
        self._own = (layers, *own)

    def find(self, name: str) -> Labelled:
        """What is meant by the id of a layer or the path of a folder.

        Raises:
            WorkspaceError: there is no such layer, or the folder is not known.
        """
        if name.startswith("layer-"):
            layer = self._layers.get(name)
            return self._found(layer.id, layer.workspace, layer)
        folder = self._folder(Path(name))
        found = identify(folder, self._places(), Vouching(self._ledger))
        if found.workspace is None:
            why = found.why or "no agent ever had it open"
            raise WorkspaceError(
                f"{str(folder.path)!r} has no label: {why}. Say who wrote it: "
                "trilemma workspace declare"
            )
        return self._found(found.workspace, found.workspace, folder)

    def add(self, subject: Labelled, capabilities: CapabilitySet, principal: str) -> None:
        """Add to a label. Whoever opens it from now on takes that as well.

        Raises:
            WorkspaceError: a session has it open.
        """
        event = Event(
            kind=Kind.WORKSPACE_LABELLED,
            principal=principal,
            workspace=subject.workspace,
            what=f"label of {subject.id}",
            joins={subject.id: capabilities},
        )

        def unless_open(view: View) -> list[Event]:
            _refuse_open(view, subject.id)
            return [event]

        self._ledger.transact(unless_open)

    def contents(self, subject: Labelled) -> Named:
        """All files of it, by their hashes: what a person answers for.

        Raises:
            WorkspaceError: some of them cannot be read, or they are too many.
        """
        if isinstance(subject.where, Layer):
            return _contents_of_layer(subject.where)
        root = subject.where.open(os.O_RDONLY)
        try:
            return name_contents(root)
        finally:
            os.close(root)

    def declassify(
        self, subject: Labelled, removes: CapabilitySet, shown: Named, principal: str
    ) -> None:
        """Take something out of a label, for exactly the files that were shown.

        Raises:
            WorkspaceError: it is in use, was meanwhile, or holds something else by now.
            LedgerError: its label does not have that, or it cannot be recorded.
        """
        before = self._ledger.head().seq
        with _locked(subject):
            if self.contents(subject) != shown:
                raise _moved(subject)
            event = _declassified(subject, removes, shown, principal)

            def unless_used(view: View) -> list[Event]:
                _refuse_open(view, subject.id)
                if view.touching(subject.id, after=before):
                    raise _moved(subject)
                return [event]

            self._ledger.transact(unless_used)

    def declare(self, path: Path, origin: Origin, principal: str) -> str:
        """A person says who wrote a folder, whatever its mark says. Gives its new identity.

        This is how a folder gets rid of all that is known of it, recorded under their name.

        Raises:
            WorkspaceError: the folder cannot be a workspace, or somebody has it open.
        """
        folder = self._folder(path)
        before = identify(folder, self._places(), Vouching(self._ledger)).workspace
        event = records.created(folder, origin, principal, declared=True, replaces=before)

        def unless_open(view: View) -> list[Event]:
            # Under the ledger's lock: who opens it meanwhile would have it by its old identity.
            if before is not None:
                _refuse_open(view, before)
            return [event]

        (made,) = self._ledger.transact(unless_open)
        write_mark(folder, Mark.of(event.workspace, self._ledger.ledger_id, made.head))
        return event.workspace

    def _found(self, name: str, workspace: str, where: Folder | Layer) -> Labelled:
        state = self._ledger.workspace(name)
        touching = self._ledger.touching(name)
        causes = [r for r in touching if r.event.joins.get(name) or r.event.drops.get(name)]
        label = ALL if state is None else state.label
        return Labelled(name, workspace, where, label, bool(state and state.opened), tuple(causes))

    def _folder(self, path: Path) -> Folder:
        folder = Folder.at(path)
        refuse_root(folder.path, self._own)
        return folder

    def _places(self) -> Places:
        return read_places(self._ledger, Places())


def _declassified(subject: Labelled, removes: CapabilitySet, shown: Named, principal: str) -> Event:
    return Event(
        kind=Kind.WORKSPACE_DECLASSIFIED,
        principal=principal,
        workspace=subject.workspace,
        what=f"declassification of {subject.id}",
        drops={subject.id: removes},
        body={
            "removes": [str(c) for c in ordered(removes)],
            "digest": shown.digest,
            "count": len(shown.files),
            "files": dict(shown.files),
        },
    )


def _contents_of_layer(layer: Layer) -> Named:
    refuse_half_read(layer.place)
    gone = Record.load(layer.place).gone
    if not layer.upper.is_dir():
        return Named(dict.fromkeys(gone, "deleted"))
    root = os.open(layer.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        return name_contents(root, gone)
    finally:
        os.close(root)


@contextmanager
def _locked(subject: Labelled) -> Iterator[None]:
    """Nobody mounts a layer meanwhile; who opens a folder leaves an event."""
    with subject.where.locked() if isinstance(subject.where, Layer) else nullcontext():
        yield


def _refuse_open(view: View, name: str) -> None:
    state = view.workspace(name)
    if state is not None and state.opened:
        raise WorkspaceError(f"workspace or layer {name!r} is in use; end its sessions first")


def _moved(subject: Labelled) -> WorkspaceError:
    return WorkspaceError(
        f"{subject.id} is not what was shown any more; its label stays {show(subject.label)}. "
        "Look again: trilemma workspace declassify"
    )
