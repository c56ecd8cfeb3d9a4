"""Read a layer: the overlay's upper folder against the folder below it, path by path.

Both may be changing while this reads. That is fine, since applying checks every hash again. The
upper folder was written by an agent, so nothing in it is followed.
"""

import os
from contextlib import ExitStack

from ...sandbox.beneath import directory, open_beneath
from ...sandbox.carried.record import Record
from ...sandbox.carried.tree import is_opaque, is_whiteout
from ...sandbox.folder import Folder
from ...sandbox.maymount import refuse_half_read
from .attention import runs_by_itself
from .changes import Change, Changes, Entry, Kind, Refused, printable
from .layers import Layer
from .leading import leads_out
from .look import SpecialFile, look
from .mark import passes_for_mark

_MARK = "it is the workspace's identity mark, or passes for it"


def diff(layer: Layer, folder: Folder) -> Changes:
    """What applying the layer would do to the folder as it is now.

    Raises:
        WorkspaceError: the folder was replaced, or this process cannot read all of the layer.
    """
    refuse_half_read(layer.place)
    with ExitStack() as stack:
        base = folder.open(os.O_RDONLY)
        stack.callback(os.close, base)
        reader = _Reader(layer, base)
        carried = Record.load(layer.place)
        if layer.upper.is_dir():
            upper = os.open(layer.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, upper)
            reader.read(upper, frozenset(carried.gone))
        reader.read_record(carried)
    reader.changes.sort(key=lambda change: (not change.runs, change.path))
    return Changes(
        layer=layer.id,
        workspace=layer.workspace,
        folder=folder.path,
        changes=tuple(reader.changes),
        refused=tuple(reader.refused),
    )


class _Reader:
    def __init__(self, layer: Layer, base: int) -> None:
        self.changes: list[Change] = []
        self.refused: list[Refused] = []
        self._seen: set[str] = set()
        self._noted: set[str] = set()
        self._layer = layer
        self._base = base

    def read(self, upper: int, deleted: frozenset[str]) -> None:
        """Read the layer's files. ``deleted`` was deleted before they were made anew."""
        waiting = [("", False)]
        while waiting:
            parent, covered = waiting.pop()
            try:
                with directory(upper, parent) as opened:
                    names, below = sorted(os.listdir(opened)), list[str]()
                    for name in names:
                        path = f"{parent}/{name}" if parent else name
                        if self._entry(upper, path, os.lstat(name, dir_fd=opened)):
                            below.append(path)
                    # What hides the folder's directory hides all that lies below it as well.
                    covered = covered or parent in deleted or (is_opaque(opened) and parent != "")
                    waiting += [(path, covered) for path in below]
                    if covered:
                        self._gone_below(parent, keep=set(names))
            except OSError as error:
                self._refuse(parent, f"it cannot be read: {error.strerror}")

    def read_record(self, record: Record) -> None:
        """Note what a carried layer says beside its files."""
        for path in record.gone:
            # A later session may have made it anew.
            if path not in self._seen:
                self._deleted(path)
        for path, why in record.lost.items():
            self._refuse(path, why)

    def _deleted(self, path: str) -> None:
        if passes_for_mark(path, self._base):
            self._refuse(path, _MARK)
            return
        try:
            self._gone(path, look(self._base, path))
        except SpecialFile:
            self._refuse(path, "it is, or hides, a socket, fifo or device")
        except OSError as error:
            self._refuse(path, f"it cannot be read: {error.strerror}")

    def _entry(self, upper: int, path: str, found: os.stat_result) -> bool:
        """Note one entry of the upper folder; True for a directory that is to be entered."""
        self._seen.add(path)
        if passes_for_mark(path, self._base):
            self._refuse(path, _MARK)
            return False
        try:
            old = look(self._base, path)
            if is_whiteout(found):
                self._gone(path, old)
                return False
            new = look(upper, path)
        except SpecialFile:
            self._refuse(path, "it is, or hides, a socket, fifo or device")
            return False
        except OSError as error:
            self._refuse(path, f"it cannot be read: {error.strerror}")
            return False
        if new is None:
            return False
        if new.kind is Kind.LINK and leads_out(path, new.target, (self._base, upper)):
            self._refuse(path, f"it links out of the folder, to {printable(new.target)!r}")
            return False
        if old is not None and old.kind is Kind.DIRECTORY and new.kind is not Kind.DIRECTORY:
            self._gone_below(path, keep=set())
        if new != old:
            self._note(path, old, new)
        return new.kind is Kind.DIRECTORY

    def _gone(self, path: str, old: Entry | None) -> None:
        if old is None:
            return
        if old.kind is Kind.DIRECTORY:
            self._gone_below(path, keep=set())
        self._note(path, old, None)

    def _gone_below(self, path: str, keep: set[str]) -> None:
        """Every entry of the folder's directory ``path``, but what the layer has there as well."""
        if not self._is_directory(path):
            return
        for child in self._children(path):
            if child in keep:
                continue
            inner = f"{path}/{child}"
            try:
                self._gone(inner, look(self._base, inner))
            except SpecialFile:
                self._refuse(inner, "a socket, fifo or device in a deleted directory stays")
            except OSError as error:
                self._refuse(inner, f"it cannot be read: {error.strerror}")

    def _is_directory(self, path: str) -> bool:
        try:
            found = look(self._base, path)
        except (OSError, SpecialFile):
            return False
        return found is not None and found.kind is Kind.DIRECTORY

    def _children(self, path: str) -> list[str]:
        try:
            with directory(self._base, path) as opened:
                return sorted(os.listdir(opened))
        except OSError as error:
            self._refuse(path, f"it cannot be read: {error.strerror}")
            return []

    def _note(self, path: str, old: Entry | None, new: Entry | None) -> None:
        if path in self._noted:
            return
        self._noted.add(path)
        runs = runs_by_itself(path, new, old)
        self.changes.append(Change(path, old, new, runs, self._is_stale(path, old)))

    def _is_stale(self, path: str, old: Entry | None) -> bool:
        if old is None or old.kind is Kind.DIRECTORY:
            return False
        if old.sha256 and self._layer.applied.get(printable(path)) == old.sha256:
            return False
        try:
            found = open_beneath(self._base, path, os.O_PATH)
        except OSError:
            return False
        try:
            return os.fstat(found).st_ctime_ns > self._layer.begun
        finally:
            os.close(found)

    def _refuse(self, path: str, why: str) -> None:
        self.refused.append(Refused(path, why))
