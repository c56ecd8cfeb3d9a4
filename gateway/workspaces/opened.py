"""A workspace that one session has open."""

import threading
from collections.abc import Iterator
from pathlib import Path

from ...sandbox.folder import Folder
from ...sandbox.views import View, ViewMaker
from ..ledger.events import Event, Kind
from ..ledger.store import Ledger
from .changes import printable
from .layers import Layer
from .mark import Mark, write_mark
from .opening import Opening


class OpenWorkspace:
    """A folder that is recorded as open, so that it may be mounted. Safe between threads."""

    def __init__(
        self,
        ledger: Ledger,
        views: ViewMaker,
        folder: Folder,
        workspace: str,
        layer: Layer | None,
        opening: Opening,
        *,
        undeclared: bool,
    ) -> None:
        self.workspace = workspace
        """The workspace's id in the ledger."""
        self.layer = layer
        """Where changes go; None where the folder itself is mounted."""
        self.undeclared = undeclared
        """Opened for the first time, and nobody said who wrote it: it counts as own work."""
        self._ledger = ledger
        self._maker = views
        self._folder = folder
        self._opening = opening
        self._views: list[View] = []
        self._lock = threading.Lock()
        self._closed = False

    @property
    def folder(self) -> Path:
        """Where the folder lies."""
        return self._folder.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What its owner should know, one line each."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        name = repr(str(self.folder))
        if self.undeclared:
            yield (
                f"workspace {name} is opened for the first time and counts as your own work; if "
                "others wrote it (mail, downloads, a fork), say 'origin: strangers' in the agent"
            )
        if any(view.copied for view in self._views):
            yield f"the kernel cannot show workspace {name} as it is; the agent works on a copy"
        hidden = {path for view in self._views for path in view.hidden}
        if hidden:
            yield (
                f"{len(hidden)} sockets, fifos or devices in workspace {name} are hidden from "
                f"the agent, such as {printable(min(hidden))!r}"
            )

    def view(self, *, exec: bool) -> View:
        """Mount it, with ``noexec`` unless ``exec``. :meth:`close` unmounts it.

        Raises:
            WorkspaceError: the folder was replaced, or cannot be mounted in this mode.
            SandboxError: the kernel refuses the mount.
        """
        with self._lock:
            if self.layer is None:
                view = self._maker.direct_view(self._folder, read_only=False, exec=exec)
            else:
                view = self._maker.layer_view(self._folder, self.layer.place, exec=exec)
            self._views.append(view)
        return view

    def close(self) -> None:
        """Unmount every view, then record that it is closed. Twice is fine.

        Raises:
            LedgerError: it cannot be recorded. The views are gone all the same.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for view in self._views:
                view.close()
        names = {self.workspace} if self.layer is None else {self.workspace, self.layer.id}
        event = Event(
            kind=Kind.WORKSPACE_CLOSED,
            principal=self._opening.principal,
            domain=self._opening.domain,
            session=self._opening.session,
            workspace=self.workspace,
            what=f"workspace {self.workspace}",
            closes=frozenset(names),
        )
        recorded = self._ledger.append(event)
        if self._folder.path.exists():
            mark = Mark.of(self.workspace, self._ledger.ledger_id, recorded.head)
            write_mark(self._folder, mark)
