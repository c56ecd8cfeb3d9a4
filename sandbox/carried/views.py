"""Views for gateways that cannot mount folders: each layer's view is a volume, carried in and out.

The folder's files and the layer's changes are copied into a piece of memory that the engine keeps
(``volume.py``), by a sandbox that does nothing else (``carrier.py``). What the agent changed comes
back into the layer while it runs, now and then, and when the view is closed (``packing.py``).
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from trilemma.errors import WorkspaceError

from ..docker import DockerBackend
from ..folder import Folder
from ..maymount import refuse_half_read
from ..views import View
from .cargo import Cargo
from .readonly import read_only
from .volume import Volume

_PATIENCE, _LOOK_AGAIN = 10.0, 0.05
"""Seconds for the last containers to be gone; after that their volumes are left to be swept."""


class CarriedViews:
    """Makes carried views of one gateway. Safe between threads."""

    def __init__(
        self, backend: DockerBackend, image: Callable[[], str], *, why: str, size: int
    ) -> None:
        """``image`` gives the id of the image without code; ``size`` is what one view may hold.

        ``why`` says in a few words what keeps this gateway from mounting folders.
        """
        self._backend = backend
        self._image = image
        self._why = why
        self._size = size
        self._lock = threading.RLock()
        self._cargoes: dict[Path, Cargo] = {}
        self._left: list[Volume] = []
        """Volumes that a container still had when their view was closed."""

    def layer_view(self, folder: Folder, layer: Path, *, exec: bool) -> View:
        """The folder with the changes of ``layer`` on top; writing goes to the layer, later.

        All views of a layer are one volume. The first one decides whether it may execute.

        Raises:
            WorkspaceError: another process uses the layer, or the folder does not fit.
            SandboxError: the engine makes no volume, or no carrier for it.
        """
        with self._lock:
            known = self._cargoes.get(layer)
        # Beside the lock, for it takes a while; a layer is carried once, or its lock refuses.
        cargo = known or self._carry(folder, layer, exec)
        with self._lock:
            self._cargoes[layer] = cargo
            cargo.views += 1
        return View(
            cargo.volume.mount,
            lambda: self._leave(layer),
            copied=True,
            hidden=cargo.packing.hidden,
            unread=cargo.packing.unread,
            pack=cargo.pack,
        )

    def direct_view(self, folder: Folder, *, read_only: bool, exec: bool) -> View:
        """The folder as it is now, for reading. For writing there is none.

        Raises:
            WorkspaceError: it is for writing, or does not fit.
            SandboxError: the engine makes no volume, or no carrier for it.
        """
        if read_only:
            return self._copy(folder, exec=exec)
        raise WorkspaceError(
            f"workspace {str(folder.path)!r} cannot be mounted directly: {self._why}; "
            "use mode: layer"
        )

    def read_only_view(self, view: View, *, exec: bool) -> View:
        """What a view of this maker shows, which is written to there alone. It ends before that.

        Raises:
            SandboxError: the engine makes no volume for it.
        """
        with self._lock:
            cargoes = list(self._cargoes.values())
        known = next(c.volume for c in cargoes if c.volume.name == view.mount.volume)
        volume = read_only(known, self._backend, executable=exec)
        return View(volume.mount, lambda: self._remove([volume]), copied=False, hidden=())

    def close(self) -> None:
        """Bring back and remove everything that this maker still has. Never raises."""
        with self._lock:
            cargoes, self._cargoes = list(self._cargoes.values()), {}
        for cargo in cargoes:
            cargo.close()
        self._remove([cargo.volume for cargo in cargoes])
        # The engine may still be at work on the last containers that it was told to remove.
        deadline = time.monotonic() + _PATIENCE
        while self._left and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN)
            self._remove([])

    def _copy(self, folder: Folder, *, exec: bool) -> View:
        # Of a layer that nobody writes to; it goes with the view.
        layer = Path(tempfile.mkdtemp(prefix="trilemma-copy-"))
        try:
            written = self.layer_view(folder, layer, exec=exec)
            try:
                view = self.read_only_view(written, exec=exec)
            except BaseException:
                written.close()
                raise
        except BaseException:
            shutil.rmtree(layer, ignore_errors=True)
            raise

        def release() -> None:
            view.close()
            written.close()
            shutil.rmtree(layer, ignore_errors=True)

        return View(view.mount, release, copied=True, hidden=written.hidden, unread=written.unread)

    def _carry(self, folder: Folder, layer: Path, executable: bool) -> Cargo:
        refuse_half_read(layer)
        return Cargo(
            self._backend, self._image(), folder, layer, size=self._size, executable=executable
        )

    def _leave(self, layer: Path) -> None:
        with self._lock:
            cargo = self._cargoes.get(layer)
            if cargo is None:
                return
            cargo.views -= 1
            if cargo.views > 0:
                return
            del self._cargoes[layer]
        cargo.close()
        self._remove([cargo.volume])

    def _remove(self, volumes: list[Volume]) -> None:
        """A sandbox may be on its way out: then its volume goes with the next one, or at the end.

        Its content is gone with the last sandbox in any case.
        """
        with self._lock:
            waiting, self._left = [*self._left, *volumes], []
        left = [volume for volume in waiting if not volume.remove(self._backend)]
        with self._lock:
            self._left += left
