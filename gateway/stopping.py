"""Ending a session from outside: what it does is cancelled, what it would do next is refused."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from trilemma.errors import Cancelled

_STOPPED = "the session was stopped"


class Stopping:
    """Whether one session shall end. Safe to ask from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._acting: dict[asyncio.Task[object], asyncio.AbstractEventLoop] = {}
        self._cancelled: set[asyncio.Task[object]] = set()

    def ask(self) -> None:
        """End the session: cancel what it does now. Twice is fine."""
        with self._lock:
            self._asked = True
            acting = list(self._acting.items())
        for task, loop in acting:
            # A loop that is closed has nothing left to cancel.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._cancel, task)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Around one act of the session, in the task that does it.

        Raises:
            Cancelled: somebody ended the session, before the act or during it.
        """
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            if self._asked:
                raise Cancelled(_STOPPED)
            self._acting[task] = asyncio.get_running_loop()
        try:
            yield
        except asyncio.CancelledError:
            # Ours becomes an error of the run; a cancellation by the caller stays what it is.
            if task not in self._cancelled or task.uncancel() > 0:
                raise
            raise Cancelled(_STOPPED) from None
        finally:
            with self._lock:
                self._acting.pop(task, None)
                self._cancelled.discard(task)

    def _cancel(self, task: asyncio.Task[object]) -> None:
        """Runs in the task's own loop, where nothing can end it meanwhile."""
        if task in self._acting:
            self._cancelled.add(task)
            task.cancel()
