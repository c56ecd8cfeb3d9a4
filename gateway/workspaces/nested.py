"""Workspaces that lie somewhere below a folder, because somebody moved or copied them there."""

import os
from pathlib import Path

from trilemma.errors import WorkspaceError

from ...sandbox.folder import Folder
from .mark import ATTRIBUTE
from .places import Place, Places


def nested_workspace(folder: Folder, places: Places) -> Path | None:
    """A directory below ``folder`` that carries a mark, or that the ledger knows.

    Only attributes count as marks here: a sandbox cannot set those, but it can write a file of
    any name, and must not be able to make a folder unusable.

    Raises:
        WorkspaceError: the folder cannot be looked through to its end.
    """
    root = folder.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent, _, _, descriptor in os.fwalk(".", dir_fd=root, onerror=_give_up):
            if parent != "." and _is_workspace(folder.path / parent, descriptor, places):
                return folder.path / parent
    except (OSError, RecursionError) as error:
        raise WorkspaceError(
            f"workspace {str(folder.path)!r} cannot be looked through for others in it: {error}"
        ) from None
    finally:
        os.close(root)
    return None


def _is_workspace(path: Path, descriptor: int, places: Places) -> bool:
    if ATTRIBUTE in _attributes(descriptor):
        return True
    found = os.fstat(descriptor)
    if not places.has_inode(found.st_dev, found.st_ino):
        return False
    # The number alone may have been given to another folder since.
    return places.of_folder(Place.of(Folder.at(path))) is not None


def _attributes(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except OSError:
        return []


def _give_up(error: OSError) -> None:
    # What this process may not enter, it never opened as a workspace, nor can a sandbox.
    if not isinstance(error, PermissionError | FileNotFoundError):
        raise error
