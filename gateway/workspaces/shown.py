"""The views of one open workspace: one of each kind, which all who are shown it share."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from trilemma.errors import WorkspaceError

from ...sandbox.spec import Mount
from ...sandbox.views import View
from .changes import printable


class ViewKind(NamedTuple):
    """Of a view."""

    read_only: bool
    exec: bool


class Shown:
    """Makes views when they are first asked for. Safe between threads."""

    def __init__(self, name: str, make: Callable[[ViewKind], View]) -> None:
        self._name = name
        self._make = make
        self._views: dict[ViewKind, View] = {}
        self._lock = threading.RLock()
        self._closed = False

    def __iter__(self) -> Iterator[View]:
        with self._lock:
            return iter(tuple(self._views.values()))

    def view(self, kind: ViewKind) -> View:
        """The view of that kind.

        Raises:
            WorkspaceError: it is closed, or cannot be mounted in this mode.
            SandboxError: the kernel refuses the mount.
        """
        with self._lock:
            if self._closed:
                raise WorkspaceError(f"workspace {self._name!r} is closed")
            if kind not in self._views:
                self._views[kind] = self._make(kind)
            return self._views[kind]

    def writable(self) -> View | None:
        """One that can be written to, if there is any."""
        return next((v for kind, v in self._views.items() if not kind.read_only), None)

    def mounts(self) -> tuple[Mount, ...]:
        """What sandboxes were shown: they end before this is closed."""
        return tuple(view.mount for view in self)

    def close(self) -> bool:
        """Unmount every view. Whether it was open until now."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            # Those that only read end before what they are a view of.
            for kind in sorted(self._views, reverse=True):
                self._views[kind].close()
            return True


def notes(folder: Path, undeclared: bool, hidden: set[str], unread: set[str]) -> Iterator[str]:
    """What an owner should know of a folder and of what an agent does not see, one line each."""
    name = repr(str(folder))
    if undeclared:
        yield (
            f"workspace {name} is opened for the first time and counts as your own work; if "
            "others wrote it (mail, downloads, a fork), say 'origin: strangers' in the agent"
        )
    if hidden:
        yield (
            f"{len(hidden)} sockets, fifos or devices in workspace {name} are hidden from "
            f"the agent, such as {printable(min(hidden))!r}"
        )
    if unread:
        yield (
            f"{len(unread)} files or folders in workspace {name} may not be read by you and "
            f"are hidden from the agent, such as {printable(min(unread))!r}"
        )
