"""Slots: where the view of a workspace appears in a sandbox that was made before it was asked for.

A slot is an empty directory mounted on itself, shared, and bound as ``/workspace`` into one
container as a slave: what is mounted on the slot appears there, flags and all, and what is
unmounted is gone there as well. Nothing goes the other way.
"""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from trilemma.errors import SandboxError

from . import mounts
from .mounts import Flag

FLAGS = Flag.READ_ONLY | Flag.NOSUID | Flag.NODEV | Flag.NOEXEC
"""Of the empty slot. A runtime that had to set them would drop all but the first."""


class Slot:
    """One slot, for one sandbox, for one view. Needs root."""

    def __init__(self, root: Path) -> None:
        """Make it below ``root``.

        Raises:
            SandboxError: the kernel refuses the mount.
        """
        self.path = root / uuid4().hex[:12]
        self._filled = False
        # Only root may look into it, so even the empty directory is nothing to a sandbox.
        self.path.mkdir(parents=True, mode=0o700)
        try:
            with mounts.clone_at(self.path) as tree:
                mounts.set_flags(tree, FLAGS)
                mounts.make_shared(tree)
                mounts.attach(tree, self.path)
        except OSError as error:
            self.close()
            raise SandboxError(f"the kernel refuses a slot for a workspace: {error}") from None

    def put(self, view: Path) -> None:
        """Let the sandbox see a prepared view, with the flags that it has now.

        Raises:
            SandboxError: the slot was used before, or the kernel refuses the mount.
        """
        if self._filled:
            raise SandboxError("a slot takes one view, once")
        self._filled = True
        try:
            with mounts.clone_at(view) as tree:
                mounts.cut_off(tree)
                mounts.attach(tree, self.path)
        except OSError as error:
            raise SandboxError(f"the kernel refuses to show a workspace: {error}") from None

    def close(self) -> None:
        """Take the view away, from the sandbox as well, and then the slot. Twice is fine."""
        for _ in range(1 + self._filled):
            mounts.unmount(self.path)
        # rmdir, not rmtree: it fails on whatever is still mounted.
        with suppress(OSError):
            self.path.rmdir()
