"""Trees of files as plain data: of a folder, of a layer, and of a volume that agents write to."""

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..beneath import directory

MAX_ENTRIES = 100_000
"""Files, folders and links of one workspace."""

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


class Kind(StrEnum):
    """What an entry is."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    SPECIAL = "special"
    """A socket, fifo or device node: never carried."""
    DEEP = "deep"
    """A folder nested so deep that nobody looked into it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One entry. Nodes that are equal were not changed in between."""

    kind: Kind
    mode: int = 0
    """Permission bits. 0 for links, which have none."""
    size: int = 0
    """Of a file."""
    mtime: int = 0
    """In nanoseconds. Of a folder on this host, and of a file."""
    target: str = ""
    """Of a link."""
    changed: int = 0
    """When the entry or its content last changed: nobody can set it back. Files only."""
    inode: int = 0
    """Files only."""
    digest: str = field(default="", compare=False)
    """Of a file's content, where it was asked for."""


Nodes = Mapping[str, Node]
"""By path, folders before what lies in them."""


@dataclass(slots=True)
class Tree:
    """What one look at a folder on this host found."""

    nodes: dict[str, Node] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    """Sockets, fifos and devices."""
    unread: list[str] = field(default_factory=list)
    """What this process may not read."""
    mounted: list[str] = field(default_factory=list)
    """Folders on which something is mounted. A view shows what lies beneath it, this does not."""
    gone: list[str] = field(default_factory=list)
    """Whiteouts: a layer's way to say that the folder's entry is deleted."""
    opaque: set[str] = field(default_factory=set)
    """Folders of a layer that hide everything which the folder has there."""


def read_tree(root: int) -> Tree:
    """Look at everything below a directory, without following anything."""
    tree = Tree()
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            with directory(root, parent) as opened:
                waiting += _look(tree, parent, opened)
        except PermissionError:
            # Nobody knows what lies in there, so the folder itself is not shown either.
            tree.unread.append(parent)
            tree.nodes.pop(parent, None)
        except OSError as error:
            # Something is mounted there: it is no part of this folder, as in a mounted view.
            if error.errno != errno.EXDEV:
                raise
            tree.mounted.append(parent)
    return tree


def _look(tree: Tree, parent: str, opened: int) -> list[str]:
    """Note what one folder holds; the folders in it are still to be entered."""
    if parent and is_opaque(opened):
        tree.opaque.add(parent)
    paths = [(name, f"{parent}/{name}" if parent else name) for name in os.listdir(opened)]
    return [path for name, path in paths if _note(tree, path, opened, name)]


def _note(tree: Tree, path: str, parent: int, name: str) -> bool:
    """Note one entry; True for a folder."""
    try:
        found = os.lstat(name, dir_fd=parent)
        target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(found.st_mode) else ""
    except FileNotFoundError:
        return False
    node = _node(found, target)
    if is_whiteout(found):
        tree.gone.append(path)
    elif node.kind is Kind.SPECIAL:
        tree.hidden.append(path)
    elif node.kind is Kind.FILE and not os.access(name, os.R_OK, dir_fd=parent):
        tree.unread.append(path)
    else:
        tree.nodes[path] = node
    return node.kind is Kind.FOLDER


def _node(found: os.stat_result, target: str) -> Node:
    mode = stat.S_IMODE(found.st_mode) & 0o777
    if stat.S_ISDIR(found.st_mode):
        return Node(Kind.FOLDER, mode, mtime=found.st_mtime_ns)
    if stat.S_ISLNK(found.st_mode):
        return Node(Kind.LINK, target=target)
    if stat.S_ISREG(found.st_mode):
        return Node(Kind.FILE, mode, found.st_size, found.st_mtime_ns)
    return Node(Kind.SPECIAL)


def is_whiteout(found: os.stat_result) -> bool:
    """Whether this is how an overlay says that an entry is deleted."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(directory: int) -> bool:
    """Whether an overlay's folder hides everything that the folder below has there."""
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name) == b"y":
                return True
        except OSError:
            continue
    return False


def in_order(paths: Iterable[str]) -> list[str]:
    """Folders before what lies in them, names by their bytes: the order of the wire as well."""
    return sorted(paths, key=lambda path: os.fsencode(path).split(b"/"))


def wire(path: str) -> str:
    """A path as it travels: its bytes, read as Latin-1, for JSON holds text alone."""
    return os.fsencode(path).decode("latin-1")


def above(path: str) -> str:
    """The folder that an entry lies in; empty for the top."""
    return path.rpartition("/")[0]


def folders_above(path: str) -> list[str]:
    """Every folder that an entry lies in, without the top."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def merged(base: Tree, layer: Tree, gone: Iterable[str]) -> dict[str, bool]:
    """What an agent sees: every path, and whether it comes from the layer.

    ``gone`` is deleted like what the layer's whiteouts name.
    """
    absent = {*layer.gone, *gone, *layer.hidden, *layer.unread}
    # What is no folder in the layer, or hides what is below it, takes the place of a whole tree.
    covering = {path for path, node in layer.nodes.items() if node.kind is not Kind.FOLDER}
    covering |= absent | layer.opaque
    shown = {}
    for path in base.nodes:
        if path not in absent and covering.isdisjoint(folders_above(path)):
            shown[path] = False
    shown |= dict.fromkeys(layer.nodes, True)
    return {path: shown[path] for path in in_order(shown)}
