"""One thread that waits for whatever is due next; it never looks in vain."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Act = Callable[[], object]


class Alarm:
    """Calls what is due. Safe to use from several threads; its thread begins with the first."""

    def __init__(self, submit: Callable[[Act], object]) -> None:
        """``submit`` hands what is due to other threads: it may take a while."""
        self._submit = submit
        self._due: list[tuple[float, int, Act]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def after(self, seconds: float, act: Act) -> None:
        """Call ``act`` once, in so many seconds."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), act))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._wait, name="trilemma-alarm", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Nothing is called any more. Twice is fine."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _wait(self) -> None:
        while (act := self._next()) is not None:
            try:
                self._submit(act)
            except RuntimeError:
                # The other threads were sent home: the gateway ends.
                return

    def _next(self) -> Act | None:
        with self._changed:
            while not self._closed:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left)
        return None
