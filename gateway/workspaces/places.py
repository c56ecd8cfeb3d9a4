"""Where each known workspace was seen, as a fold over the ledger's workspace events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ...sandbox.folder import Folder
from ..ledger.events import Kind, Recorded
from ..ledger.store import Ledger

_SEEN_IN = (Kind.WORKSPACE_CREATED, Kind.WORKSPACE_OPENED)


@dataclass(frozen=True, slots=True)
class Place:
    """One folder, as far as it can be told from another: moving it keeps all but the path."""

    path: Path
    device: int
    inode: int
    born: int

    @classmethod
    def of(cls, folder: Folder) -> Self:
        """The folder's place now."""
        return cls(folder.path, folder.device, folder.inode, folder.born)

    def as_body(self) -> dict[str, Any]:
        """The place as an event's body holds it. A path need not be text, so it is escaped."""
        path = str(self.path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return {"path": path, "device": self.device, "inode": self.inode, "born": self.born}

    def same_folder(self, other: "Place") -> bool:
        """The very same directory, wherever it lies. Inode numbers return, birth times do not."""
        mine, theirs = (self.device, self.inode), (other.device, other.inode)
        return mine == theirs and self.born == other.born


@dataclass(frozen=True, slots=True)
class Sighting:
    """A workspace was seen at a place."""

    workspace: str
    place: Place
    at: str


class Places:
    """The newest sighting of every workspace, and every folder that was ever one."""

    def __init__(self) -> None:
        self.upto = 0
        self._newest: dict[str, Sighting] = {}
        self._by_inode: dict[tuple[int, int, int], str] = {}
        self._by_path: dict[str, str] = {}
        self._inodes: set[tuple[int, int]] = set()

    def add(self, events: Iterable[Recorded]) -> None:
        """Go on with events, oldest first. Those already seen are passed over."""
        for recorded in events:
            if recorded.seq > self.upto and recorded.event.kind in _SEEN_IN:
                self._see(recorded)
                self.upto = recorded.seq

    def of_folder(self, place: Place) -> str | None:
        """The workspace that this very directory is."""
        return self._by_inode.get((place.device, place.inode, place.born))

    def has_inode(self, device: int, inode: int) -> bool:
        """Whether some workspace ever was a directory of that number: quick, and not yet sure."""
        return (device, inode) in self._inodes

    def of_path(self, path: Path) -> str | None:
        """The workspace that was last seen at this path."""
        return self._by_path.get(_key(path))

    def newest(self, workspace: str) -> Sighting | None:
        """Where the workspace was seen last."""
        return self._newest.get(workspace)

    def __iter__(self) -> Iterator[Sighting]:
        return iter(list(self._newest.values()))

    def _see(self, recorded: Recorded) -> None:
        body, workspace = recorded.event.body, recorded.event.workspace
        path = str(body["path"])
        place = Place(Path(path), int(body["device"]), int(body["inode"]), int(body["born"]))
        self._newest[workspace] = Sighting(workspace, place, recorded.at)
        self._by_inode[place.device, place.inode, place.born] = workspace
        self._by_path[path] = workspace
        self._inodes.add((place.device, place.inode))


def _key(path: Path) -> str:
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_places(ledger: Ledger, places: Places) -> Places:
    """The places, brought up to the ledger's newest event."""
    found = [e for kind in _SEEN_IN for e in ledger.events(after=places.upto, kind=kind)]
    places.add(sorted(found, key=lambda recorded: recorded.seq))
    return places
