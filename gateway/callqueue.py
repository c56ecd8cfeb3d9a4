"""A session's calls, so many at a time: one that makes very many holds up only itself."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from trilemma.errors import SandboxError

from ..sandbox.turns import fulfil

T = TypeVar("T")

_Work = tuple["Future[T]", Callable[[], T]]


class CallQueue(Generic[T]):
    """Hands work to threads that all sessions share, in the order in which it came."""

    def __init__(self, workers: ThreadPoolExecutor, at_once: int) -> None:
        self._workers = workers
        self._free = at_once
        self._waiting: deque[_Work[T]] = deque()
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Begin the work as soon as it is its turn."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, work))
        self._begin()
        return future

    def _begin(self) -> None:
        with self._lock:
            if not self._free or not self._waiting:
                return
            self._free -= 1
            future, work = self._waiting.popleft()
        try:
            self._workers.submit(self._run, future, work)
        except RuntimeError:  # The threads have been sent home.
            self._end()
            future.set_exception(SandboxError("the gateway is closed"))

    def _run(self, future: "Future[T]", work: Callable[[], T]) -> None:
        fulfil(future, work)
        self._end()

    def _end(self) -> None:
        with self._lock:
            self._free += 1
        self._begin()
