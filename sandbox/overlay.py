"""One overlay over a folder: the folder below, a layer of changes above, special files hidden."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from trilemma.errors import SandboxError, WorkspaceError

from . import mounts
from .carried.record import Record
from .filelock import FileLock
from .folder import Folder
from .idmap import IdMaps, Owner, sandbox_owner
from .mounts import Flag
from .specials import build_mask, special_files, standing
from .treecopy import copy_tree

# Redirects and partial copies would let the upper folder point at others; without them it holds
# whole files, whiteouts and opaque folders, and nothing else needs to be understood.
_SIMPLE = "redirect_dir=off,metacopy=off,index=off,nfs_export=off,xino=off"
_CANNOT_MAP = {errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class Overlay:
    """A mounted overlay. ``merged`` is never given to a sandbox itself, only clones of it are.

    With a layer the overlay can be written to and its changes lie in ``layer/upper``; without one
    it is read-only.
    """

    def __init__(self, folder: Folder, place: Path, layer: Path | None, maps: IdMaps) -> None:
        """Mount it below the new directory ``place``.

        Raises:
            WorkspaceError: another process uses the layer, or the folder cannot be shown.
            SandboxError: the kernel refuses the mount.
        """
        self.owner = sandbox_owner(folder.uid, folder.gid)
        self.merged = place / "merged"
        self.copied = False
        self.hidden: list[str] = []
        self._folder = folder
        self._place = place
        self._layer = layer
        self._maps = maps
        self._lock = None if layer is None else _lock(layer)
        try:
            self.merged.mkdir(parents=True, mode=0o700)
            self._mount()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unmount and forget it; the layer's changes stay. Twice is fine."""
        for point in (self.merged, self._place / "lower"):
            mounts.unmount(point)
            # rmdir, not rmtree: it fails on whatever is still mounted.
            with suppress(OSError):
                point.rmdir()
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.rmtree(self._place / "mask", ignore_errors=True)
        with suppress(OSError):
            self._place.rmdir()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def _copy(self) -> Path:
        return (self._layer or self._place) / "copy"

    def _mount(self) -> None:
        root = self._folder.open(os.O_RDONLY)
        try:
            self._prepare_upper()
            self._build_mask(root)
            try:
                with mapped(self._folder, root, self._place / "lower", self._maps) as lower:
                    self._stack(lower)
            except OSError as error:
                if self._folder.uid != 0 or error.errno not in _CANNOT_MAP:
                    raise
                self._stack_on_copy(root)
        except OSError as error:
            raise SandboxError(self._refusal(error)) from None
        finally:
            os.close(root)

    def _stack_on_copy(self, root: int) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)
        copy_tree(root, self._copy, self.owner)
        self._stack(self._copy)
        self.copied = True

    def _build_mask(self, root: int) -> None:
        self.hidden = special_files(root)
        masked = self._deleted(root) + self.hidden
        # An overlay without a layer of its own needs two folders below, so the mask is made anyway.
        if masked or self._layer is None:
            disk = Owner(self._folder.uid, self._folder.gid)
            build_mask(root, masked, self._place / "mask", disk, self.owner)

    def _deleted(self, root: int) -> list[str]:
        """What a session deleted for whom the folder was carried: there are no whiteouts of it."""
        return standing(root, Record.load(self._layer).gone) if self._layer is not None else []

    def _prepare_upper(self) -> None:
        if self._layer is None:
            return
        upper = self._layer / "upper"
        if not upper.exists():
            upper.mkdir(mode=0o700)
            os.chown(upper, self.owner.uid, self.owner.gid)
            upper.chmod(self._folder.mode & 0o777 | 0o700)
        (self._layer / "work").mkdir(mode=0o700, exist_ok=True)

    def _stack(self, lower: Path) -> None:
        with ExitStack() as opened:
            # By descriptor: no name needs quoting, and the sandbox's mountinfo shows no host path.
            def name(path: Path) -> str:
                flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(path, flags)
                opened.callback(os.close, descriptor)
                return f"/proc/self/fd/{descriptor}"

            mask = self._place / "mask"
            below = f"{name(mask)}:{name(lower)}" if mask.exists() else name(lower)
            options = f"lowerdir={below},{_SIMPLE}"
            if self._layer is not None:
                upper, work = name(self._layer / "upper"), name(self._layer / "work")
                options += f",upperdir={upper},workdir={work}"
            mounts.mount_overlay(self.merged, options)

    def _refusal(self, error: OSError) -> str:
        text = f"the kernel cannot lay a view over {str(self._folder.path)!r}: {error.strerror}"
        if self._layer is not None and error.errno == errno.EINVAL:
            text += (
                f"; layers lie in {str(self._layer.parent)!r}, which must be on ext4, xfs, btrfs "
                "or tmpfs: set TRILEMMA_HOME to a folder on one"
            )
        return text


def _lock(layer: Path) -> FileLock:
    lock = FileLock.take(layer / "lock")
    if lock is None:
        raise WorkspaceError(f"layer {layer.name!r} is in use; end the session that uses it")
    return lock


@contextmanager
def mapped(folder: Folder, root: int, point: Path, maps: IdMaps) -> Iterator[Path]:
    """The folder as its sandbox's user sees it, read-only, attached at ``point`` for a moment.

    An overlay keeps a clone of its own, so the attached one may go once it is mounted.
    """
    disk = Owner(folder.uid, folder.gid)
    tree = mounts.clone_tree(root)
    try:
        flags = Flag.READ_ONLY | Flag.NOSUID | Flag.NODEV | Flag.NOEXEC
        namespace = maps.between(disk, sandbox_owner(folder.uid, folder.gid))
        mounts.set_flags(tree, flags, idmap=namespace)
        point.mkdir(mode=0o700)
        mounts.attach(tree, point)
    finally:
        os.close(tree)
    try:
        yield point
    finally:
        mounts.unmount(point)
        point.rmdir()
