"""What a layer changes in its folder, as plain data that a person can read and approve."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or symbolic link. Equal entries look the same to whoever reads them."""

    kind: Kind
    mode: int = 0
    """Permission bits. 0 for links, which have none."""
    sha256: str = ""
    """Of a file's content."""
    target: str = ""
    """Of a link."""
    size: int = 0


class Action(StrEnum):
    """What a change does."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One path that would be different. The path is relative; it need not be text."""

    path: str
    old: Entry | None
    """In the folder now; None where there is nothing."""
    new: Entry | None
    """After applying; None where it is deleted."""
    runs: str = ""
    """Why this runs, or steers what runs, without anybody opening it; empty where it does not."""
    stale: bool = False
    """The folder's file changed after the layer began, so the layer never saw that version."""

    @property
    def action(self) -> Action:
        """What the change does."""
        if self.new is None:
            return Action.DELETE
        return Action.ADD if self.old is None else Action.MODIFY


@dataclass(frozen=True, slots=True)
class Refused:
    """One path of a layer that is never applied."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a layer changes: what runs by itself first, then by path.

    Applying takes exactly this value, and does nothing if either side has moved on.
    """

    layer: str
    workspace: str
    folder: Path
    changes: tuple[Change, ...]
    refused: tuple[Refused, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to apply."""
        return bool(self.changes)

    def only(self, wanted: Callable[[Change], bool]) -> "Changes":
        """The changes that a person picks, and the directories that they lie in."""
        picked = {change.path for change in self.changes if wanted(change)}
        above = {parent for path in picked for parent in parents(path)}
        return replace(
            self,
            changes=tuple(
                c for c in self.changes if c.path in picked or (c.path in above and c.new)
            ),
        )

    @property
    def digest(self) -> str:
        """``sha256:...`` of everything that applying would do."""
        rows = [[printable(c.path), _plain(c.old), _plain(c.new)] for c in self.changes]
        text = json.dumps([self.layer, self.workspace, rows], sort_keys=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def parents(path: str) -> list[str]:
    """The directories above a relative path, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def printable(path: str) -> str:
    """A path as text: bytes that are no UTF-8 are escaped, and so is what a terminal obeys."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _plain(entry: Entry | None) -> dict[str, object] | None:
    if entry is None:
        return None
    return {**asdict(entry), "target": printable(entry.target)}
