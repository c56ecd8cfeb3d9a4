"""Views: what becomes ``/workspace``. A folder as its sandbox's user may see it, flags and all.

A view is a mount below ``<runtime>/views`` that carries its final flags before it can be reached,
so that nothing has to be remounted later. Making views needs root; without it see ``carried/``.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from trilemma.errors import SandboxError, WorkspaceError

from . import mounts
from .folder import Folder
from .idmap import IdMaps, Owner, sandbox_owner
from .mounts import Flag
from .overlay import Overlay
from .spec import Mount
from .specials import special_files

_ALWAYS = Flag.NOSUID | Flag.NODEV


class View:
    """One prepared mount. Close it after the sandbox that uses it is gone."""

    def __init__(
        self,
        mount: Mount,
        release: Callable[[], None],
        *,
        copied: bool,
        hidden: tuple[str, ...],
        unread: tuple[str, ...] = (),
        pack: Callable[[], None] | None = None,
    ) -> None:
        self.mount = mount
        """What a sandbox's spec takes."""
        self.copied = copied
        """The kernel could not show the folder as it is: this is a copy of it."""
        self.hidden = hidden
        """Sockets, fifos and devices that lie in the folder and are not in the view."""
        self.unread = unread
        """What the gateway may not read, and so is not in the view."""
        self.pack = pack
        """Brings what was written into the layer; None where writing goes there by itself."""
        self._release: Callable[[], None] | None = release

    def close(self) -> None:
        """Unmount. Twice is fine."""
        release, self._release = self._release, None
        if release is not None:
            release()


class ViewMaker:
    """Makes views below one runtime directory. Safe between threads; needs root."""

    def __init__(self, runtime: Path) -> None:
        self._root = runtime / "views"
        self._root.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._maps = IdMaps()
        self._lock = threading.RLock()
        self._overlays: dict[Path, _Shared] = {}

    def layer_view(self, folder: Folder, layer: Path, *, exec: bool) -> View:
        """The folder with the changes of ``layer`` on top; writing goes to the layer.

        Views of one layer share one overlay, whatever their flags.

        Raises:
            WorkspaceError: another process uses the layer, or the folder was replaced.
            SandboxError: the kernel refuses the mount.
        """
        with self._lock:
            shared = self._overlays.get(layer)
            if shared is None:
                overlay = Overlay(folder, self._place(), layer, self._maps)
                shared = self._overlays[layer] = _Shared(overlay)
            shared.users += 1
            try:
                return self._over(shared.overlay, exec=exec, last=lambda: self._leave(layer))
            except BaseException:
                self._leave(layer)
                raise

    def direct_view(self, folder: Folder, *, read_only: bool, exec: bool) -> View:
        """The folder itself.

        Raises:
            WorkspaceError: it holds a socket, fifo or device and cannot be mounted for writing,
                or the kernel cannot show a folder of root to an unprivileged user.
            SandboxError: the kernel refuses the mount.
        """
        if read_only:
            return self._read_only(folder, exec=exec)
        root = folder.open(os.O_RDONLY)
        try:
            _refuse_special(folder, special_files(root))
            tree = mounts.clone_tree(root)
        finally:
            os.close(root)
        try:
            mounts.set_flags(tree, Flag(0), idmap=self._namespace(folder))
            return self._attach(tree, folder_owner(folder), _flags(exec=exec), read_only=False)
        except OSError as error:
            raise WorkspaceError(
                f"workspace {str(folder.path)!r} cannot be mounted directly: {error.strerror}; "
                "use mode: layer, or give the folder to an unprivileged user with chown"
            ) from None
        finally:
            os.close(tree)

    def read_only_view(self, view: View, *, exec: bool) -> View:
        """What a view of this maker shows, which is written to there alone. It ends before that.

        Never another overlay: two over one layer would not see each other's changes.

        Raises:
            SandboxError: the kernel refuses the mount.
        """
        owner = Owner(view.mount.uid, view.mount.gid)
        flags = _flags(exec=exec) | Flag.READ_ONLY
        try:
            with mounts.clone_at(view.mount.source) as tree:
                return self._attach(tree, owner, flags, read_only=True)
        except OSError as error:
            raise SandboxError(f"the kernel refuses a view: {error}") from None

    def close(self) -> None:
        """Unmount everything this maker still has. Never raises for what is already gone."""
        with self._lock:
            for point in mounts.mounted_below(self._root):
                mounts.unmount(point)
            while self._overlays:
                self._overlays.popitem()[1].overlay.close()
            for left in self._root.iterdir():
                with suppress(OSError):
                    left.rmdir()
            self._maps.close()

    def _read_only(self, folder: Folder, *, exec: bool) -> View:
        overlay = Overlay(folder, self._place(), None, self._maps)
        try:
            return self._over(overlay, exec=exec, last=overlay.close, read_only=True)
        except BaseException:
            overlay.close()
            raise

    def _over(
        self, overlay: Overlay, *, exec: bool, last: Callable[[], None], read_only: bool = False
    ) -> View:
        flags = _flags(exec=exec) | (Flag.READ_ONLY if read_only else Flag(0))
        try:
            with mounts.clone_at(overlay.merged) as tree:
                view = self._attach(tree, overlay.owner, flags, read_only=read_only)
        except OSError as error:
            raise SandboxError(f"the kernel refuses a view: {error}") from None

        def release() -> None:
            view.close()
            last()

        return View(view.mount, release, copied=overlay.copied, hidden=tuple(overlay.hidden))

    def _attach(self, tree: int, owner: Owner, flags: Flag, *, read_only: bool) -> View:
        mounts.set_flags(tree, flags, clear=(Flag.READ_ONLY | Flag.NOEXEC) & ~flags)
        place = self._place()
        target = place / "workspace"
        target.mkdir(parents=True, mode=0o700)

        def release() -> None:
            mounts.unmount(target)
            # rmdir, not rmtree: it fails on whatever is still mounted.
            for path in (target, place):
                with suppress(OSError):
                    path.rmdir()

        try:
            mounts.attach(tree, target)
        except BaseException:
            release()
            raise
        mount = Mount(source=target, read_only=read_only, uid=owner.uid, gid=owner.gid)
        return View(mount, release, copied=False, hidden=())

    def _leave(self, layer: Path) -> None:
        with self._lock:
            shared = self._overlays.get(layer)
            if shared is None:
                return
            shared.users -= 1
            if shared.users == 0:
                del self._overlays[layer]
                shared.overlay.close()

    def _namespace(self, folder: Folder) -> int | None:
        return self._maps.between(Owner(folder.uid, folder.gid), folder_owner(folder))

    def _place(self) -> Path:
        return self._root / uuid4().hex[:12]


class _Shared:
    """An overlay and how many views of it there are."""

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.users = 0


def folder_owner(folder: Folder) -> Owner:
    """Who the sandbox of this folder runs as."""
    return sandbox_owner(folder.uid, folder.gid)


def _flags(*, exec: bool) -> Flag:
    return _ALWAYS if exec else _ALWAYS | Flag.NOEXEC


def _refuse_special(folder: Folder, found: list[str]) -> None:
    if found:
        raise WorkspaceError(
            f"workspace {str(folder.path)!r} holds a socket, fifo or device ({found[0]!r}"
            f"{', ...' if found[1:] else ''}), which a direct mount would show; "
            "remove it or use mode: layer"
        )
