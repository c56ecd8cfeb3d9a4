"""Brings a carried workspace's changes into its layer while the session runs, beside its calls."""

import threading
import time
from collections.abc import Callable

_PAUSE = 2.0
"""Seconds between two times."""
_SHARE = 20
"""Packing takes at most this part of the time, however much there is to be looked at."""


class PackWatch:
    """Packs before calls that write: what a killed gateway loses is what the last ones wrote."""

    def __init__(self, pack: Callable[[], None]) -> None:
        self._pack = pack
        self._working = threading.Lock()
        self._next = 0.0

    def refusal(self) -> str | None:
        """None: the size of the volume is the limit."""
        return None

    def begin(self, call: str, kill: Callable[[], None]) -> None:
        """A call that may write runs from now on: pack in the background.

        Unless that was done just now or is being done.
        """
        if time.monotonic() < self._next or not self._working.acquire(blocking=False):
            return
        threading.Thread(target=self._work, name="trilemma-pack", daemon=True).start()

    def end(self, call: str) -> None:
        """The call is over. None is ever killed: the volume only takes so much."""

    def _work(self) -> None:
        began = time.monotonic()
        try:
            self._pack()
        finally:
            ended = time.monotonic()
            self._next = ended + max(_PAUSE, _SHARE * (ended - began))
            self._working.release()
