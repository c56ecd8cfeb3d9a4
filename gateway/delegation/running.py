"""One sub-agent while it is at work: whoever ends it first gives back what it holds."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from trilemma.errors import Cancelled

if TYPE_CHECKING:
    from ..session import LocalSession

Settle = Callable[[str, dict[str, Any]], None]
"""Records how a delegation ended: what its parent's model reads, and what the ledger keeps."""


class Running:
    """Holds a sub-agent's session and place. Safe to use from several threads.

    It is ended by its own run, or by its parent, which never waits for anybody's event loop.
    """

    def __init__(self) -> None:
        self.holds = ExitStack()
        """What is given back at the end: its place in the tree, its purse."""
        self._lock = threading.RLock()
        self._settle: Settle | None = None
        self._child: LocalSession | None = None
        self._ended = False

    def reserved(self, settle: Settle) -> None:
        """The delegation stands in the ledger: it is to be settled, once."""
        with self._lock:
            self._settle = settle

    def begin(self, open: Callable[[], "LocalSession"]) -> "LocalSession":
        """Open the session, unless it shall end already. Blocking.

        Raises:
            Cancelled: its parent has ended.
        """
        with self._lock:
            if self._ended:
                raise Cancelled("the agent that called it has ended")
            self._child = open()
            return self._child

    def end(self, stop: str) -> None:
        """End the session and give everything back. Blocking; twice is fine."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            with self.holds:
                if self._child is not None:
                    self._child.stopping.ask()
                    self._child.end(stop)

    def settle(self, text: str, body: dict[str, Any]) -> None:
        """Record how it ended. The first who says so is right."""
        with self._lock:
            settle, self._settle = self._settle, None
            if settle is not None:
                settle(text, body)

    def give_up(self, stop: str) -> None:
        """End it where it has no answer to give: its run or its parent was cancelled."""
        try:
            self.end(stop)
        finally:
            self.settle("It was cancelled.", {"ok": False, "stop": stop})
