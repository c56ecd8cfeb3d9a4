"""What lies in a folder or a layer, named by hashes, so that a person can answer for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from trilemma.errors import WorkspaceError

from ...sandbox.carried.tree import Kind, Node, in_order, read_tree
from ..ledger.declassified import Contents, contents_digest
from .changes import printable
from .look import SpecialFile, look
from .mark import FILE

MOST = 50_000
"""Entries that one declassification may name: all of them stand in one event."""


@dataclass(frozen=True, slots=True)
class Named:
    """Everything that was found, and its digest."""

    files: Contents

    @property
    def digest(self) -> str:
        """``sha256:...`` of all of it."""
        return contents_digest(self.files)


def name_contents(root: int, gone: Iterable[str] = ()) -> Named:
    """Name everything below the directory ``root``, without following anything.

    ``gone`` is what a layer says is deleted.

    Raises:
        WorkspaceError: some of it cannot be read, or it is too much.
    """
    tree = read_tree(root)
    if tree.unread:
        raise WorkspaceError(f"{printable(tree.unread[0])!r} may not be read by you")
    if tree.mounted:
        # Agents see the files beneath, and nobody could be shown them.
        raise WorkspaceError(
            f"something is mounted on {printable(tree.mounted[0])!r} and hides what lies beneath; "
            "unmount it first"
        )
    deleted = {*tree.gone, *gone}
    if len(tree.nodes) + len(deleted) > MOST:
        raise WorkspaceError(f"more than {MOST} entries cannot be named; take a smaller folder")
    rows = {path: _word(root, path, node) for path, node in tree.nodes.items() if path != FILE}
    rows |= dict.fromkeys(tree.hidden, "socket, fifo or device") | dict.fromkeys(deleted, "deleted")
    # Escaped so that two paths never become one.
    return Named({printable(path.replace("\\", "\\\\")): rows[path] for path in in_order(rows)})


def _word(root: int, path: str, node: Node) -> str:
    if node.kind is Kind.FOLDER:
        return "folder"
    if node.kind is Kind.LINK:
        return f"link to {printable(node.target)}"
    try:
        found = look(root, path)
    except (OSError, SpecialFile):
        found = None
    if found is None or not found.sha256:
        raise WorkspaceError(f"{printable(path)!r} changed while it was read")
    return f"sha256:{found.sha256}" + (" executable" if found.mode & 0o111 else "")
