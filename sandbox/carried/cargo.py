"""One layer's cargo: its volume, the sandbox that carries it, and what is to be brought back."""

import threading
from contextlib import suppress
from pathlib import Path

from trilemma.errors import TrilemmaError, WorkspaceError

from ..docker import DockerBackend
from ..filelock import FileLock
from ..folder import Folder
from .carrier import Carrier
from .packing import Packing
from .record import WHOLE, Record
from .volume import Volume


class Cargo:
    """A folder and a layer that were carried into a volume. Safe between threads."""

    def __init__(
        self,
        backend: DockerBackend,
        image: str,
        folder: Folder,
        layer: Path,
        *,
        size: int,
        executable: bool,
    ) -> None:
        """Carry it in.

        Raises:
            WorkspaceError: another process uses the layer, or the folder does not fit.
            SandboxError: the engine makes no volume, or no carrier for it.
        """
        self.views = 0
        """How many views of it there are."""
        self._layer = layer
        self._packing = threading.Lock()
        self._hold = _take(layer)
        try:
            self.volume = Volume.make(backend, size, executable=executable)
            self._carrier = self._start(backend, image, size)
            self.packing = Packing(folder, layer, self._carrier)
            try:
                self.packing.fill(size)
            except BaseException:
                self._carrier.close()
                self.volume.remove(backend)
                raise
        except BaseException:
            self._hold.release()
            raise

    def _start(self, backend: DockerBackend, image: str, size: int) -> Carrier:
        try:
            return Carrier(backend, self.volume.mount, image, size)
        except BaseException:
            self.volume.remove(backend)
            raise

    def pack(self) -> None:
        """Bring back what was changed, unless that is being done just now. Never raises."""
        if self._packing.acquire(blocking=False):
            try:
                with suppress(TrilemmaError):
                    self.packing.pack()
            finally:
                self._packing.release()

    def close(self) -> None:
        """Bring back the rest and end the carrier. What cannot be brought back is recorded."""
        with self._packing:
            try:
                self.packing.pack(last=True)
            except TrilemmaError as error:
                self._record(str(error))
            finally:
                self._carrier.close()
                self._hold.release()

    def _record(self, problem: str) -> None:
        why = f"what was changed last could not be brought back: {problem}"
        with suppress(WorkspaceError, OSError):
            record = Record.load(self._layer)
            Record(record.gone, {**record.lost, WHOLE: why}).save(self._layer)


def _take(layer: Path) -> FileLock:
    lock = FileLock.take(layer / "lock")
    if lock is None:
        raise WorkspaceError(f"layer {layer.name!r} is in use; end the session that uses it")
    return lock
