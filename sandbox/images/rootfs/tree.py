"""The files of an image: where each lies, what it holds and its mode, before it is packed."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from trilemma.errors import SandboxError

MERGED = ("bin", "lib", "lib64", "sbin")
"""Top-level names that are links into usr/."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of an image. Everything belongs to root and carries the same time."""

    path: str
    mode: int
    link: str | None = None
    folder: bool = False


class Tree:
    """Entries, and a folder on this host that holds the content of the regular files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries: dict[str, Entry] = {}

    def add(self, path: str, content: bytes | IO[bytes], mode: int = 0o644) -> None:
        """Put a regular file; setuid, setgid and write access for others never get in."""
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as out:
            if isinstance(content, bytes):
                out.write(content)
            else:
                shutil.copyfileobj(content, out)
        self._put(Entry(path, mode & 0o755))

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link. On this host it is made last, so no file is written through it."""
        self._put(Entry(path, 0o777, link=target))

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Put a directory."""
        self._put(Entry(path, mode, folder=True))

    def content(self, path: str) -> bytes:
        """What a regular file holds."""
        return self._place(path).read_bytes()

    def entries(self) -> list[Entry]:
        """All entries, parents first, in one fixed order."""
        return [self._entries[path] for path in sorted(self._entries)]

    def files(self, pattern: str) -> list[str]:
        """Paths of regular files that match, in order."""
        return [each.path for each in self.entries() if _regular(each, pattern)]

    def keep_executable(self, patterns: Iterable[str]) -> None:
        """Take the execute bit from every regular file but these; drop other programs."""
        for entry in self.entries():
            if entry.folder or entry.link is not None:
                continue
            if not any(fnmatchcase(entry.path, pattern) for pattern in patterns):
                self._entries[entry.path] = Entry(entry.path, entry.mode & 0o644)
                if entry.path.startswith("usr/bin/"):
                    del self._entries[entry.path]

    def drop_dangling(self, prefix: str) -> None:
        """Leave out links below a prefix whose relative target is not there."""
        for entry in self.entries():
            if entry.link and entry.path.startswith(prefix) and "/" not in entry.link:
                beside = entry.path.rpartition("/")[0] + "/" + entry.link
                if beside not in self._entries:
                    del self._entries[entry.path]

    def below(self, folder: str) -> "Tree":
        """The same files below a folder; on this host they lie below one of that name already."""
        outer = Tree(self.root.parents[folder.count("/")])
        for entry in self.entries():
            outer._put(replace(entry, path=f"{folder}/{entry.path}"))
        return outer

    def make_links(self) -> None:
        """Make the links on this host too, so that the tree's own interpreter can run."""
        for entry in self.entries():
            if entry.link is not None and not entry.link.startswith("/"):
                place = self._place(entry.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(entry.link)

    def _place(self, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/"):
            raise SandboxError(f"a package holds a path that leaves the image: {path!r}")
        return self.root / path

    def _put(self, entry: Entry) -> None:
        parent = entry.path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self._put(Entry(parent, 0o755, folder=True))
        self._entries[entry.path] = entry


def merged(path: str) -> str:
    """A package's path in the layout where /bin, /lib and the like lie in /usr."""
    clean = path.removeprefix("./").strip("/")
    return f"usr/{clean}" if clean.split("/")[0] in MERGED else clean


def _regular(entry: Entry, pattern: str) -> bool:
    return not entry.folder and entry.link is None and fnmatchcase(entry.path, pattern)
