"""A workspace that one session has open."""

import threading
from pathlib import Path
from typing import Protocol

from ...sandbox.folder import Folder
from ...sandbox.spec import Mount
from ...sandbox.views import View
from ..diskwatch import DiskWatch
from ..ledger.store import Ledger
from .closing import closed
from .layers import Layer
from .mark import Mark, write_mark
from .opening import Opening
from .packwatch import PackWatch
from .shown import Shown, ViewKind, notes


class Views(Protocol):
    """Shows folders to sandboxes: as mounts, or carried where folders cannot be mounted."""

    def layer_view(self, folder: Folder, layer: Path, *, exec: bool) -> View:
        """The folder with the changes of a layer on top; writing goes to the layer."""
        ...

    def direct_view(self, folder: Folder, *, read_only: bool, exec: bool) -> View:
        """The folder itself."""
        ...

    def read_only_view(self, view: View, *, exec: bool) -> View:
        """What another view shows, for somebody who only reads; it ends before that one."""
        ...

    def close(self) -> None:
        """Take back every view that is left."""
        ...


class OpenWorkspace:
    """A folder that is recorded as open, so that it may be mounted. Safe between threads."""

    def __init__(
        self,
        ledger: Ledger,
        views: Views,
        folder: Folder,
        workspace: str,
        layer: Layer | None,
        opening: Opening,
        *,
        undeclared: bool,
    ) -> None:
        self.read_only: bool = False
        """Whether nobody may be shown it for writing."""
        self.workspace = workspace
        """The workspace's id in the ledger."""
        self.original = workspace
        """The same: it is no copy."""
        self.layer = layer
        """Where changes go; None where the folder itself is mounted."""
        self.undeclared = undeclared
        """Opened for the first time, and nobody said who wrote it: it counts as own work."""
        self._ledger = ledger
        self._maker = views
        self._folder = folder
        self.opening = opening
        """What was asked for."""
        self._shown = Shown(str(folder.path), self._made)
        self._watch: DiskWatch | PackWatch | None = None
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where the folder lies."""
        return self._folder.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What its owner should know, one line each."""
        hidden = {path for view in self._shown for path in view.hidden}
        unread = {path for view in self._shown for path in view.unread}
        found = notes(self.folder, self.undeclared, hidden, unread)
        if any(view.copied for view in self._shown):
            name = repr(str(self.folder))
            copied = f"workspace {name} cannot be mounted as it is; the agent works on a copy"
            return (copied, *found)
        return tuple(found)

    def mounts(self) -> tuple[Mount, ...]:
        """What sandboxes were shown: they end before this is closed."""
        return self._shown.mounts()

    def view(self, *, exec: bool, read_only: bool = False) -> View:
        """Mount it, with ``noexec`` unless ``exec``. :meth:`close` unmounts it.

        Where both are wanted, that with ``exec`` comes first: what is carried has its flags then.
        Whoever only reads sees what the others write.

        Raises:
            WorkspaceError: the folder was replaced, or cannot be mounted in this mode, or is
                closed.
            SandboxError: the kernel refuses the mount.
        """
        return self._shown.view(ViewKind(read_only, exec))

    def _made(self, kind: ViewKind) -> View:
        if kind.read_only:
            written = self._shown.writable() or self.view(exec=kind.exec)
            return self._maker.read_only_view(written, exec=kind.exec)
        if self.layer is None:
            return self._maker.direct_view(self._folder, read_only=False, exec=kind.exec)
        return self._maker.layer_view(self._folder, self.layer.place, exec=kind.exec)

    def watch(self, limit: int) -> DiskWatch | PackWatch:
        """What looks after the disk beside the calls; ``limit`` is what a layer may hold.

        There is one: the first that asks says how much all together may write.
        """
        with self._lock:
            self._watch = self._watch or self._watching(limit)
            return self._watch

    def _watching(self, limit: int) -> DiskWatch | PackWatch:
        if self.layer is None:
            return DiskWatch(self.folder, None, limit)
        packs = [view.pack for view in self._shown if view.pack is not None]
        return PackWatch(packs[0]) if packs else DiskWatch(self.layer.place, self.layer, limit)

    def close(self) -> None:
        """Unmount every view, then record that it is closed. Twice is fine.

        Raises:
            LedgerError: it cannot be recorded. The views are gone all the same.
        """
        if not self._shown.close():
            return
        names = {self.workspace} if self.layer is None else {self.workspace, self.layer.id}
        event = closed(self.opening, self.workspace, f"workspace {self.workspace}", names)
        recorded = self._ledger.append(event)
        if self._folder.path.exists():
            mark = Mark.of(self.workspace, self._ledger.ledger_id, recorded.head)
            write_mark(self._folder, mark)

    def reopened(self, folder: Folder) -> None:
        """It was closed, and is recorded as open once more: it is shown anew."""
        with self._lock:
            self._folder = folder
            self._shown = Shown(str(folder.path), self._made)
            self._watch = None
