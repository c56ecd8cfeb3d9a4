"""How much a session's layer may hold on disk, looked at beside the calls and not within them."""

import threading
import time

from .workspaces.layers import Layer

_PAUSE = 1.0
"""Seconds between two looks: each walks the whole layer."""


class LayerWatch:
    """Measures one layer after calls. Once over the limit, writing calls are refused."""

    def __init__(self, layer: Layer, limit: int) -> None:
        self._layer = layer
        self._limit = limit
        self._size = 0
        self._looking = threading.Lock()
        self._next = 0.0

    def refusal(self) -> str | None:
        """Why the session may not write any more, or None."""
        if self._size <= self._limit:
            return None
        mib = 1024 * 1024
        return (
            f"this session's changes take {self._size // mib} MiB on disk and may take "
            f"{self._limit // mib} MiB; delete files with a new run, apply or discard layer "
            f"{self._layer.id!r}, or raise sandbox.layer_mb"
        )

    def look(self) -> None:
        """Measure in the background, unless that was done just now or is being done."""
        if time.monotonic() < self._next or not self._looking.acquire(blocking=False):
            return
        self._next = time.monotonic() + _PAUSE
        threading.Thread(target=self._measure, name="trilemma-layer", daemon=True).start()

    def measure(self) -> int:
        """Measure now. Bytes on disk."""
        self._size = self._layer.size()
        return self._size

    def _measure(self) -> None:
        try:
            self.measure()
        except FileNotFoundError:
            # Discarded while we looked: then there is nothing to limit.
            self._size = 0
        finally:
            self._looking.release()
