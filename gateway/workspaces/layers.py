"""Layers: where a session's changes to a folder wait until a person applies or discards them.

On disk: ``<state>/layers/<id>/`` with ``meta.json``, ``lock``, ``upper`` (the changes, in the
overlay file system's own form), ``work``, and ``carried.json`` where a session's folder was carried
(what it deleted). Only ``upper`` is ever seen by a sandbox.
"""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from trilemma.errors import WorkspaceError

from ...sandbox.filelock import FileLock
from ...sandbox.treeremoval import remove_tree

_META = "meta.json"
_PER_FILE = 4096
"""Bytes that a file or folder counts at least."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer."""

    id: str
    workspace: str
    folder: str
    """Where the workspace's folder lay when the layer was made."""
    session: str
    """The session it was made for."""
    begun: int
    """Nanoseconds since the epoch. What changed in the folder after that, the layer missed."""
    place: Path
    """The layer's own directory."""
    applied: dict[str, str] = field(default_factory=dict)
    """What was applied from it, path to sha256: such a file did not change behind its back."""

    @property
    def upper(self) -> Path:
        """The changes."""
        return self.place / "upper"

    def save(self) -> None:
        """Put the layer's description on disk, whole or not at all."""
        body = {**asdict(self), "version": _VERSION}
        del body["place"], body["id"]
        fresh = self.place / f"{_META}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(body, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.place / _META)
        _sync(self.place)

    def with_applied(self, files: dict[str, str]) -> "Layer":
        """The layer after some of it was applied."""
        return replace(self, applied={**self.applied, **files})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody mounts, applies or discards the layer meanwhile.

        Raises:
            WorkspaceError: somebody does just now.
        """
        lock = FileLock.take(self.place / "lock")
        if lock is None:
            raise WorkspaceError(f"layer {self.id!r} is in use; end the session that uses it")
        try:
            yield
        finally:
            lock.release()

    def size(self) -> int:
        """Bytes that its files take on disk."""
        return _disk_usage(self.upper)

    @classmethod
    def load(cls, place: Path) -> Self:
        """Read a layer's description.

        Raises:
            WorkspaceError: there is no such layer, or it is not readable.
        """
        try:
            body: dict[str, Any] = json.loads((place / _META).read_text(encoding="utf-8"))
            if body.pop("version") != _VERSION:
                raise ValueError("made by another version")
            return cls(id=place.name, place=place, **body)
        except FileNotFoundError:
            raise WorkspaceError(
                f"there is no layer {place.name!r}; 'trilemma workspace ls' shows the layers"
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise WorkspaceError(f"layer {place.name!r} cannot be read: {error}") from None


class Layers:
    """The layers below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, mode=0o700, exist_ok=True)

    def create(self, workspace: str, folder: Path, session: str) -> Layer:
        """A fresh, empty layer, on disk before this returns.

        Raises:
            WorkspaceError: the disk refuses it.
        """
        name = f"layer-{secrets.token_hex(6)}"
        path = str(folder).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        layer = Layer(name, workspace, path, session, time.time_ns(), self._root / name)
        try:
            layer.place.mkdir(mode=0o700)
            layer.save()
            _sync(self._root)
        except OSError as error:
            raise WorkspaceError(
                f"no layer can be made in {str(self._root)!r}: {error.strerror}"
            ) from None
        return layer

    def get(self, name: str) -> Layer:
        """The layer of that id.

        Raises:
            WorkspaceError: there is none.
        """
        if not name.startswith("layer-") or not name.replace("-", "").isalnum():
            raise WorkspaceError(
                f"{name!r} is not a layer; 'trilemma workspace ls' shows the layers"
            )
        return Layer.load(self._root / name)

    def __iter__(self) -> Iterator[Layer]:
        for place in sorted(self._root.glob("layer-*")):
            if (place / _META).exists():
                yield Layer.load(place)

    def remove(self, layer: Layer) -> None:
        """Delete the layer from disk. Whoever asks has recorded it before.

        Raises:
            WorkspaceError: something in it cannot be deleted.
        """
        # Without its description it is no layer any more, however far the rest gets.
        (layer.place / _META).unlink(missing_ok=True)
        if reason := remove_tree(layer.place):
            raise WorkspaceError(f"layer {layer.id!r} cannot be deleted whole: {reason}")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_usage(root: Path) -> int:
    # An empty file takes no block, but a disk has only so many files.
    return max(_du(root, "-k") * 1024, _du(root, "--inodes") * _PER_FILE)


def _du(root: Path, unit: str) -> int:
    # du, for the same reason as rm above: what lies deeper than a path is long must count.
    command = ["du", "-sx", unit, "--", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # It fails where a file vanishes under it, and prints the sum all the same.
    found = done.stdout.split("\t")[0]
    return int(found) if found.isdigit() else 0
