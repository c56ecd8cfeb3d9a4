"""Sandboxes that nobody has any more: ended at once, removed beside everything else."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from .base import Sandbox

_WORKERS = 4


class Leaving:
    """Ends sandboxes and removes them in the background. Safe to use from several threads."""

    def __init__(self, changed: threading.Condition) -> None:
        """``changed`` guards the number of them, and hears when one is gone."""
        self._changed = changed
        self._number = 0
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="trilemma-leave")

    def __len__(self) -> int:
        return self._number

    def add(self, number: int) -> None:
        """Count so many, whose :meth:`end` follows. The caller holds ``changed``."""
        self._number += number

    def end(self, future: Future[Sandbox], *, wait: bool) -> None:
        """Nothing runs in it when this returns, where it is there already or ``wait`` says so."""
        if not future.cancel() and (wait or future.done()):
            # One that was never made needs no end.
            with suppress(Exception):
                future.result().stop()
        self.remove(future)

    def remove(self, future: Future[Sandbox]) -> None:
        """Remove in the background what nobody ever used."""
        future.cancel()
        self._workers.submit(self._remove, future)

    def close(self) -> None:
        """Wait until all are gone."""
        self._workers.shutdown(wait=True)

    def _remove(self, future: Future[Sandbox]) -> None:
        with suppress(Exception):
            future.result().close()
        with self._changed:
            self._number -= 1
            self._changed.notify_all()
