"""How much a session may write to disk, looked at beside its calls and not within them."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .workspaces.layers import Layer

_MIB = 1024 * 1024
_SCARCE, _SHARE_KEPT = 128 * _MIB, 20
"""Where no more than this is free, or a twentieth of a small disk, what is left is kept for the
ledger and for everybody else."""
_PAUSE = 1.0
"""Seconds between two looks."""
_SHARE = 4
"""A look walks the whole layer; the pause is at least so many times as long."""


class DiskWatch:
    """Measures what a session has written, while its calls write.

    Over the limit, or where the disk is nearly full, the calls that write are killed and further
    ones are refused. So a call is over by no more than what it writes between two looks. Safe to
    use from several threads.
    """

    def __init__(self, place: Path, layer: Layer | None, limit: int) -> None:
        """Watch a layer, or with none only the disk that ``place`` is on."""
        self._place = place
        self._layer = layer
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._calls: dict[str, Callable[[], None]] = {}
        self._killed: dict[str, str] = {}
        self._looking = False

    def refusal(self) -> str | None:
        """Why the session may not write any more, or None."""
        if self._layer is not None and self._size > self._limit:
            return (
                f"this session's changes take {self._size // _MIB} MiB on disk and may take "
                f"{self._limit // _MIB} MiB; delete files with a new run, apply or discard layer "
                f"{self._layer.id!r}, or raise sandbox.layer_mb"
            )
        if _scarce(self._place):
            return "the disk is nearly full: nothing may be written until there is room on it"
        return None

    def begin(self, call: str, kill: Callable[[], None]) -> None:
        """A call that may write runs from now on."""
        with self._lock:
            self._calls[call] = kill
            if self._looking:
                return
            self._looking = True
        threading.Thread(target=self._look, name="trilemma-disk", daemon=True).start()

    def end(self, call: str) -> str | None:
        """The call is over. Why it was killed, or None where it was not."""
        with self._lock:
            self._calls.pop(call, None)
            return self._killed.pop(call, None)

    def measure(self) -> int:
        """Measure the layer now. Bytes on disk; 0 without one."""
        self._size = self._layer.size() if self._layer is not None else 0
        return self._size

    def _look(self) -> None:
        """Look again and again, as long as calls run; a pause outlives short calls."""
        while True:
            started = time.monotonic()
            self.measure()
            self._kill_all()
            time.sleep(max(_PAUSE, _SHARE * (time.monotonic() - started)))
            with self._lock:
                if not self._calls:
                    self._looking = False
                    return

    def _kill_all(self) -> None:
        """Kill what runs, where the layer is over its limit."""
        full = self.refusal()
        if full is None:
            return
        with self._lock:
            kills = list(self._calls.values())
            self._killed |= dict.fromkeys(self._calls, f"the call was ended: {full}")
        for kill in kills:
            kill()


def _scarce(place: Path) -> bool:
    """Whether the disk is nearly full. Where nothing lies any more, nothing is written either."""
    try:
        disk = os.statvfs(place)
    except FileNotFoundError:
        return False
    free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return free < min(_SCARCE, whole // _SHARE_KEPT)
