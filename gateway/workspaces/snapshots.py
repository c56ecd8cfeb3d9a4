"""Snapshots: a workspace as it is at one moment, for a session that only reads."""

import secrets
from collections.abc import Collection
from pathlib import Path

from trilemma.errors import WorkspaceError

from ...sandbox.folder import Folder
from ...sandbox.runtime import alive
from ...sandbox.snapshot import Copied, copy_folder
from ...sandbox.spec import Mount
from ...sandbox.treeremoval import remove_tree
from ...sandbox.views import View
from ..ledger.store import Ledger
from .closing import closed
from .layers import Layer
from .opened import Views
from .opening import Opening
from .shown import Shown, ViewKind, notes


class Snapshots:
    """The snapshots of one gateway, below a directory of its own."""

    def __init__(self, root: Path, instance: str, limit: int) -> None:
        """``limit`` is how many bytes one may copy, where it cannot share them."""
        self.place = root / instance
        self._root = root
        self._limit = limit

    def take(self, folder: Folder, layer: Layer | None) -> "Snapshot":
        """Copy a folder, with a layer's changes on top where there is one.

        Raises:
            WorkspaceError: it is too large, or the disk refuses.
        """
        name = f"snap-{secrets.token_hex(8)}"
        place = self.place / name
        try:
            place.mkdir(mode=0o700, parents=True)
            below = None if layer is None else layer.place
            copied = copy_folder(folder, below, place / "files", self._limit)
        except OSError as error:
            raise WorkspaceError(
                f"no snapshot can be made in {str(place)!r}: {error.strerror}"
            ) from None
        except BaseException:
            remove_tree(place)
            raise
        return Snapshot(name, place, copied)

    def sweep(self, gone: Collection[str] = ()) -> int:
        """Remove what gateways left that are gone; how many those were.

        ``gone`` are those that a person says have ended.
        """
        if not self._root.is_dir():
            return 0
        found = list(self._root.iterdir())
        dead = [place for place in found if place.name in gone or not alive(place.name)]
        for place in dead:
            remove_tree(place)
        return len(dead)

    def close(self) -> None:
        """Remove everything that is left."""
        remove_tree(self.place)


class Snapshot:
    """One copy on disk."""

    def __init__(self, name: str, place: Path, copied: Copied) -> None:
        self.id = name
        """Its identity in the ledger, with a label of its own."""
        self.copied = copied
        self._place = place

    @property
    def folder(self) -> Folder:
        """The copy."""
        return Folder.at(self._place / "files")

    def remove(self) -> None:
        """Delete it."""
        remove_tree(self._place)


class OpenSnapshot:
    """A snapshot that is recorded as open, so that it may be mounted. Safe between threads."""

    layer: Layer | None = None
    """Nothing is written, so there are no changes."""
    read_only: bool = True

    def __init__(
        self,
        ledger: Ledger,
        views: Views,
        of: Folder,
        original: str,
        snapshot: Snapshot,
        opening: Opening,
        *,
        undeclared: bool,
    ) -> None:
        self.workspace = snapshot.id
        """Its identity in the ledger: its label is its own."""
        self.folder: Path = of.path
        """The folder that it was made of."""
        self.original = original
        """The identity of that folder: what crosses is counted to it, not to a copy of a day."""
        self._ledger = ledger
        self._maker = views
        self._snapshot = snapshot
        self._opening = opening
        self.undeclared = undeclared
        self._shown = Shown(str(of.path), self._made)

    @property
    def notes(self) -> tuple[str, ...]:
        """What its owner should know, one line each."""
        copied = self._snapshot.copied
        return tuple(notes(self.folder, self.undeclared, set(copied.hidden), set(copied.unread)))

    def mounts(self) -> tuple[Mount, ...]:
        """What sandboxes were shown: they end before this is closed."""
        return self._shown.mounts()

    def view(self, *, exec: bool, read_only: bool = True) -> View:
        """Mount it, read-only whatever is asked for, with ``noexec`` unless ``exec``.

        Raises:
            WorkspaceError: it is closed.
            SandboxError: the kernel refuses the mount.
        """
        return self._shown.view(ViewKind(True, exec))

    def watch(self, limit: int) -> None:
        """Nothing: nobody writes here."""

    def close(self) -> None:
        """Unmount every view, delete the copy, then record that. Twice is fine.

        Raises:
            LedgerError: it cannot be recorded. The copy is gone all the same.
        """
        if not self._shown.close():
            return
        self._snapshot.remove()
        event = closed(
            self._opening, self.workspace, f"snapshot {self.workspace}", {self.workspace}
        )
        self._ledger.append(event)

    def _made(self, kind: ViewKind) -> View:
        return self._maker.direct_view(self._snapshot.folder, read_only=True, exec=kind.exec)
