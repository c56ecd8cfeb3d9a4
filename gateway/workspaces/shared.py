"""A workspace that another session has open, shown to a session of the same domain as well."""

from pathlib import Path

from trilemma.errors import WorkspaceError

from ...sandbox.spec import Mount
from ...sandbox.views import View
from ..diskwatch import DiskWatch
from .layers import Layer
from .opened import OpenWorkspace
from .packwatch import PackWatch
from .snapshots import OpenSnapshot


class SharedWorkspace:
    """The very view that another session works on. It ends with that session's, at the latest.

    Nothing new is opened, so no label moves: whoever is shown it belongs to the domain that has
    it open, and what that domain takes is joined into the label all the same.
    """

    notes: tuple[str, ...] = ()
    """Whoever opened it has told them."""

    def __init__(self, of: "SessionWorkspace", *, read_only: bool) -> None:
        """Share what a session has open, or what was shared with it.

        Raises:
            WorkspaceError: it may be read only, and was asked for to be written.
        """
        self.read_only: bool = read_only
        self._of: OpenWorkspace | OpenSnapshot = of._of if isinstance(of, SharedWorkspace) else of
        if of.read_only and not read_only:
            raise WorkspaceError(
                f"workspace {str(of.folder)!r} is there for reading; ask for 'read' or 'none'"
            )

    @property
    def workspace(self) -> str:
        """The workspace's id in the ledger."""
        return self._of.workspace

    @property
    def original(self) -> str:
        """The id of the folder that it is, or is a copy of."""
        return self._of.original

    @property
    def folder(self) -> Path:
        """Where the folder lies."""
        return self._of.folder

    @property
    def layer(self) -> Layer | None:
        """Where this session's changes go; None where it makes none."""
        return None if self.read_only else self._of.layer

    def view(self, *, exec: bool) -> View:
        """The view, with ``noexec`` unless ``exec``. Sandboxes of the same kind are shared too.

        Raises:
            WorkspaceError: whoever opened it has closed it.
            SandboxError: the kernel refuses the mount.
        """
        return self._of.view(exec=exec, read_only=self.read_only)

    def mounts(self) -> tuple[Mount, ...]:
        """None: what sandboxes are shown is not this session's to take away, others use them."""
        return ()

    def watch(self, limit: int) -> DiskWatch | PackWatch | None:
        """What looks after the disk for all who write here; None for those who only read."""
        return None if self.read_only else self._of.watch(limit)

    def close(self) -> None:
        """It stays open: it is not this session's to close."""


SessionWorkspace = OpenWorkspace | OpenSnapshot | SharedWorkspace
"""What a session works on: a folder that it opened, a copy of one, or what it was shown."""
