"""What is carried in: files of a folder and of a layer, read on this host, as the wire has them."""

import base64
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trilemma.errors import WorkspaceError

from ..beneath import open_beneath
from ..folder import Folder
from .carrier import PIECE, Row, Vanished
from .tree import MAX_ENTRIES, Node, wire

_PAGE = 4096
_SPARE_ENTRIES = 1000
"""For what the agent makes, and the volume itself."""


@contextmanager
def opened(folder: Folder, layer: Path) -> Iterator[tuple[int, int | None]]:
    """The folder, and the layer's changes where it has any."""
    with ExitStack() as stack:
        base = folder.open(os.O_RDONLY)
        stack.callback(os.close, base)
        upper = None
        if (layer / "upper").is_dir():
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            upper = os.open(layer / "upper", flags)
            stack.callback(os.close, upper)
        yield base, upper


def check_size(folder: Folder, nodes: dict[str, Node], size: int) -> None:
    """Refuse what does not fit into a volume of ``size`` bytes.

    Raises:
        WorkspaceError: with the sizes, and the setting.
    """
    total = sum(-(-node.size // _PAGE) * _PAGE for node in nodes.values())
    most = MAX_ENTRIES - _SPARE_ENTRIES
    if total > size or len(nodes) > most:
        raise WorkspaceError(
            f"workspace {str(folder.path)!r} has to be carried into its sandbox and is too large: "
            f"{total >> 20} MiB in {len(nodes)} entries, and {size >> 20} MiB in {most} fit; "
            "raise TRILEMMA_CARRIED_MB, or name a smaller folder"
        )


def pieces_of(root: int, path: str) -> Iterator[bytes]:
    """A file of this host, in pieces; raises ``Vanished`` where it is gone, or none any more."""
    try:
        opened = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        raise Vanished(path) from None
    with open(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise Vanished(path)
        while piece := file.read(PIECE):
            yield piece


def file_rows(path: str, node: Node, content: Iterator[bytes]) -> Iterator[Row]:
    """The rows that make a file; none for one that is gone."""
    try:
        # An empty file as well takes a row to make it.
        first = next(content, b"")
    except Vanished:
        return
    offset = 0
    for piece in itertools.chain([first], content):
        yield ["data", wire(path), offset, base64.b64encode(piece).decode()]
        offset += len(piece)
    yield ["done", wire(path), node.mode, node.mtime]
