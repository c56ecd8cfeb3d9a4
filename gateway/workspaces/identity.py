"""Which workspace a folder is, from its mark and from what the ledger saw of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import WorkspaceError

from ...sandbox.aliases import aliases
from ...sandbox.folder import Folder
from .mark import Mark, read_mark
from .nested import nested_workspace
from .places import Place, Places
from .roots import overlaps


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a folder."""

    workspace: str | None
    """The workspace it is; None where it is new, or where nobody can say."""
    known: bool
    """False where nobody can say who wrote to it: it counts as written by all three."""
    why: str = ""
    """What was found, where it is not known."""


NEW = Identity(None, known=True)

Vouches = Callable[[Mark], bool]
"""Whether this ledger wrote that mark and still has the event that it names."""


def identify(folder: Folder, places: Places, vouches: Vouches) -> Identity:
    """Which workspace the folder is.

    A mark must be this ledger's. Without one, a folder that the ledger saw before, by what it is
    or by where it lies, is what it was: taking the mark away sheds nothing.

    Raises:
        WorkspaceError: the folder overlaps another workspace, or was replaced.
    """
    mark, place = read_mark(folder), Place.of(folder)
    found = _of_mark(mark, place, places, vouches) if mark else _of_place(place, places)
    _refuse_overlap(folder.path, found.workspace, places)
    if inner := nested_workspace(folder, places):
        raise _overlap(folder.path, inner)
    return found if found.workspace else _of_surroundings(folder.path, found, places, vouches)


def _of_mark(mark: Mark, place: Place, places: Places, vouches: Vouches) -> Identity:
    if not vouches(mark):
        return Identity(
            None,
            known=False,
            why="its identity mark is not this ledger's: another ledger wrote it, this one was "
            "deleted or rolled back since, or somebody forged it",
        )
    seen = places.of_folder(place)
    if seen is not None and seen != mark.workspace:
        return Identity(
            None,
            known=False,
            why=f"its mark says it is {mark.workspace!r}, but this ledger knows it as {seen!r}",
        )
    return Identity(mark.workspace, known=True)


def _of_place(place: Place, places: Places) -> Identity:
    seen = places.of_folder(place) or places.of_path(place.path)
    return NEW if seen is None else Identity(seen, known=True)


def _of_surroundings(path: Path, found: Identity, places: Places, vouches: Vouches) -> Identity:
    """What a folder lies in that is no workspace yet: here, and where else it is mounted."""
    found = _of_parents(path, found, places, vouches)
    for other in aliases(path):
        _refuse_overlap(other, None, places)
        found = _of_parents(other, found, places, vouches)
    return found


def _of_parents(path: Path, found: Identity, places: Places, vouches: Vouches) -> Identity:
    """What a folder that is no workspace yet lies in, wherever that was moved or copied to."""
    for above in path.parents:
        try:
            folder = Folder.at(above)
            mark = read_mark(folder)
        except WorkspaceError:
            # Nobody but its owner may look in there: we never opened it, nor left a mark.
            continue
        known = places.of_folder(Place.of(folder))
        if known is not None or (mark is not None and vouches(mark)):
            raise _overlap(path, above)
        if mark is not None:
            why = f"it lies in {str(above)!r}, whose identity mark is not this ledger's"
            return Identity(None, known=False, why=why)
    return found


def _refuse_overlap(path: Path, workspace: str | None, places: Places) -> None:
    for sighting in places:
        other = sighting.place
        if sighting.workspace != workspace and overlaps(path, other.path) and other.path.is_dir():
            raise _overlap(path, other.path)


def _overlap(path: Path, other: Path) -> WorkspaceError:
    return WorkspaceError(
        f"workspace {str(path)!r} overlaps {str(other)!r}, another workspace; files "
        "in both would have two labels. Open that folder instead, or move one of them out"
    )
