"""Ctrl-C: the first cancels the run and waits for its tidy end, the second does not wait.

Nothing is left behind either way: what the gateway no longer cleans up, its janitor does.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from trilemma.cli.failure import Stop

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, signals end the run that it runs."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._received = 0

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            # nohup asked to go on without a terminal.
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end.

        Raises:
            Stop: a signal ended it.
        """
        try:
            return asyncio.run(self._noted(work))
        except asyncio.CancelledError:
            raise self._stop() from None

    async def _noted(self, work: Coroutine[Any, Any, T]) -> T:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        try:
            return await work
        finally:
            self._task = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._received:
            # Threads may be waiting for calls; leaving this way waits for nobody.
            os.write(sys.stderr.fileno(), b"\ntrilemma: leaving; the janitor cleans up\n")
            os._exit(128 + number)
        self._received = number
        if self._task is None or self._loop is None:
            raise self._stop()
        self._loop.call_soon_threadsafe(self._task.cancel)

    def _stop(self) -> Stop:
        return Stop("interrupted; the run has ended and its sandboxes are gone", self._status)

    @property
    def _status(self) -> int:
        return 128 + (self._received or signal.SIGINT)
