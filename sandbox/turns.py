"""Workers who serve everybody in turn, however much one asks for."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Turns:
    """A few threads, and a line of waiting work for each party. Whoever was served goes last.

    A party that asks for twenty things keeps another's single one waiting for what is under way,
    and not for its other nineteen. Safe to use from several threads.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._waiting: OrderedDict[str, deque[_Work]] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, party: str, work: Callable[[], T]) -> Future[T]:
        """Do ``work`` when it is the party's turn. Until then it can be cancelled.

        Raises:
            RuntimeError: after :meth:`close`.
        """
        future: Future[T] = Future()
        with self._lock:
            self._waiting.setdefault(party, deque()).append(_Work(work, future))
        self._threads.submit(self._serve)
        return future

    def close(self) -> None:
        """Finish what is under way; what still waits is cancelled."""
        with self._lock:
            waiting = [work for line in self._waiting.values() for work in line]
        for work in waiting:
            work.future.cancel()
        self._threads.shutdown(wait=True)

    def _serve(self) -> None:
        """One piece of work of whoever has waited longest. As often called as there is work."""
        with self._lock:
            party, line = next(iter(self._waiting.items()))
            work = line.popleft()
            if line:
                self._waiting.move_to_end(party)
            else:
                del self._waiting[party]
        fulfil(work.future, work.do)


class _Work(NamedTuple):
    do: Callable[[], Any]
    future: Future[Any]


def fulfil(future: Future[T], do: Callable[[], T]) -> bool:
    """Do what a future promises; False where it was cancelled before."""
    if not future.set_running_or_notify_cancel():
        return False
    try:
        result = do()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    return True
