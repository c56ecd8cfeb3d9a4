"""Fills a volume with what an agent is to see, and brings back what it changed."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trilemma.errors import WorkspaceError

from ..beneath import directory
from ..folder import Folder
from ..idmap import sandbox_owner
from .carrier import Carrier, Row, Vanished, digest
from .record import Record
from .source import check_size, file_rows, opened, pieces_of
from .tree import Kind, Node, Tree, above, merged, read_tree, wire
from .upper import Upper

_TICK = 50_000_000
"""Nanoseconds in which a file may change twice without a new time. Kernels need a tenth of it."""

_LOST = {
    Kind.SPECIAL: "it is, or hides, a socket, fifo or device",
    Kind.DEEP: "it is nested too deep to be carried out of the sandbox",
}


class Packing:
    """One folder and one layer, carried into one volume. Used by one thread at a time."""

    def __init__(self, folder: Folder, layer: Path, carrier: Carrier) -> None:
        self._folder = folder
        self._layer = layer
        self._carrier = carrier
        self._base = Tree()
        self._known: dict[str, Node] = {}
        """What lay in the volume when it was last looked at, and is in folder or layer."""
        self._digests: dict[str, str] = {}
        """Of the files' content in folder or layer."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """Sockets, fifos and devices of the folder, which are not carried."""
        return tuple(self._base.hidden)

    @property
    def unread(self) -> tuple[str, ...]:
        """What this process may not read, and so cannot carry."""
        return tuple(self._base.unread)

    def fill(self, size: int) -> None:
        """Carry the folder in, with the layer's changes on top.

        Raises:
            WorkspaceError: it does not fit into ``size`` bytes, or changes while it is read.
            SandboxError: the carrier is gone.
        """
        with opened(self._folder, self._layer) as (base, upper):
            self._base = read_tree(base)
            changes = _own_tree(upper) if upper is not None else Tree()
            shown = merged(self._base, changes, Record.load(self._layer).gone)
            sources = {
                path: (upper if own and upper is not None else base) for path, own in shown.items()
            }
            nodes = {
                path: (changes if own else self._base).nodes[path] for path, own in shown.items()
            }
            check_size(self._folder, nodes, size)
            self._carrier.put(self._rows(nodes, sources))
        there = self._carrier.listing().nodes
        self._known = {path: there[path] for path in shown if path in there}
        # What could not be read after all was never there for anybody to delete.
        for path in shown.keys() - self._known.keys():
            self._base.nodes.pop(path, None)

    def _rows(self, nodes: dict[str, Node], sources: dict[str, int]) -> Iterator[Row]:
        """The rows that make all of it, in order; modes last, the deepest first."""
        for path, node in nodes.items():
            if node.kind is Kind.FOLDER:
                yield ["folder", wire(path)]
            elif node.kind is Kind.LINK:
                yield ["link", wire(path), wire(node.target)]
            else:
                data = self._noted(path, pieces_of(sources[path], path))
                yield from file_rows(path, node, data)
        for path, node in reversed(nodes.items()):
            if node.kind is Kind.FOLDER:
                yield ["done", wire(path), node.mode, node.mtime]

    def _noted(self, path: str, content: Iterator[bytes]) -> Iterator[bytes]:
        """The content; its digest is kept, once all of it has passed."""
        passing = digest()
        for piece in content:
            passing.update(piece)
            yield piece
        self._digests[path] = passing.hexdigest()

    def pack(self, *, last: bool = False) -> None:
        """Bring back what was changed since the last time.

        ``last`` is when nobody writes any more: then content is compared as well as times, for
        what is written to mapped memory need not have a new one. Where this is cut short, the layer
        may hold up to twice what the volume can, beside what it held, until the next time.

        Raises:
            SandboxError: the carrier is gone, or says what cannot be.
            WorkspaceError: the layer cannot be written.
        """
        listing = self._carrier.listing(digests=last)
        now = listing.nodes
        lost, gone = dict(self._lost(now)), self._gone(now)
        owner = sandbox_owner(self._folder.uid, self._folder.gid)
        try:
            # First of all: where this is cut short, no deletion is undone.
            before = Record.load(self._layer).gone
            Record(tuple(sorted({*before, *gone})), lost).save(self._layer)
            with Upper(self._layer, owner, self._folder.mode) as upper:
                for path in upper.paths():
                    if path not in now or path in lost:
                        upper.remove(path)
                missed = self._write(upper, {p: n for p, n in now.items() if p not in lost})
                folders = {p: n.mode for p, n in now.items() if n.kind is Kind.FOLDER}
                upper.set_modes(folders)
            Record(gone, lost).save(self._layer)
        except (OSError, RecursionError) as error:
            raise WorkspaceError(f"layer {self._layer.name!r} cannot be written: {error}") from None
        # What changed a moment ago may change again without a new time: it is fetched again.
        recent = listing.clock - _TICK
        self._known = {
            path: node
            for path, node in now.items()
            if path not in lost
            and path not in missed
            and (node.changed < recent or self._known.get(path) == node)
        }

    def _lost(self, now: dict[str, Node]) -> Iterator[tuple[str, str]]:
        """What cannot be brought back, and why."""
        for path, node in now.items():
            if node.kind in _LOST:
                yield path, _LOST[node.kind]
        # Only holes make files larger than the memory that they lie in. The largest are left out,
        # and not the last: else one with holes would take the place of those with content.
        room = self._carrier.size
        for path, node in sorted(now.items(), key=lambda entry: entry[1].size):
            room -= node.size
            if room < 0:
                yield path, "the files are larger than the workspace; holes in them count"

    def _write(self, upper: Upper, now: dict[str, Node]) -> set[str]:
        """Put in what is new or different, folders first; files that were gone are given back."""
        changed = [(path, node) for path, node in now.items() if self._differs(path, node)]
        for path, node in changed:
            if node.kind is Kind.FOLDER:
                upper.folder(path)
            elif node.kind is Kind.LINK:
                upper.link(path, node.target)
        files = {path: node for path, node in changed if node.kind is Kind.FILE}
        missed = set(files)
        for path, content in self._carrier.files(files.items()):
            with suppress(Vanished):
                node = files[path]
                upper.file(path, self._noted(path, content), node.mode, node.mtime)
                missed.discard(path)
        return missed

    def _differs(self, path: str, node: Node) -> bool:
        if self._known.get(path) != node:
            return True
        return bool(node.digest) and node.digest != self._digests.get(path)

    def _gone(self, now: dict[str, Node]) -> tuple[str, ...]:
        """What the folder had, and is there no more: the tops of what was deleted."""

        def stands(folder: str) -> bool:
            return not folder or (folder in now and now[folder].kind is Kind.FOLDER)

        missing = (path for path in self._base.nodes if path not in now)
        return tuple(sorted(path for path in missing if stands(above(path))))


def _own_tree(upper: int) -> Tree:
    """What a layer holds, also where an agent took this user's rights to some of it away."""
    tree = read_tree(upper)
    while tree.unread:
        for path in tree.unread:
            with directory(upper, above(path)) as parent:
                name = path.rpartition("/")[2]
                mode = os.lstat(name, dir_fd=parent).st_mode
                needed = 0o700 if stat.S_ISDIR(mode) else 0o400
                os.chmod(name, mode & 0o777 | needed, dir_fd=parent)
        tree = read_tree(upper)
    return tree
