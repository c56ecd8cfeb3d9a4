"""A session that nobody uses gives back what it holds, until its next call."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from trilemma.errors import Denied, TrilemmaError, WorkspaceError

from ..policy.capability import CapabilitySet
from ..sandbox.base import CallError, CallResult
from .alarm import Alarm
from .tools import ToolDefinition

_log = logging.getLogger(__name__)


class Sandboxes(Protocol):
    """The sandboxes of one session that belongs here: its root's, or a sub-agent's."""

    def run(
        self, tool: ToolDefinition, call: str, arguments: dict[str, Any], given: CapabilitySet
    ) -> CallResult:
        """Run one call."""
        ...

    def rest(self) -> None:
        """Destroy them; a later call makes new ones."""
        ...

    def wake(self) -> None:
        """Those to come are shown the workspace where it is now.

        Raises:
            WorkspaceError, SandboxError: it cannot be shown.
        """
        ...


class Holdings(Protocol):
    """What is held beside the sandboxes of single sessions: the workspace, the domain's own."""

    def begin(self) -> None:
        """It is held from now on. Blocking."""
        ...

    def give_back(self) -> None:
        """Let others have it. Blocking."""
        ...

    def take_again(self) -> None:
        """Have it again; that is decided anew. Blocking.

        Raises:
            Denied, WorkspaceError, SandboxError: it cannot be had now; it stays given back.
        """
        ...

    def leave(self) -> None:
        """The session ends, and is not given back any more."""
        ...


class Idling:
    """Of one root of a domain and the sub-agents that share it. Safe between threads.

    A call in a sandbox is use; a person's answer that is waited for, and a model that thinks, are
    not.
    """

    def __init__(
        self,
        holdings: Holdings,
        alarm: Alarm,
        after: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``after`` so many seconds without use; None for never."""
        self._holdings = holdings
        self._alarm = alarm
        self._after = after
        self._clock = clock
        self._lock = threading.Lock()
        self._members: list[Sandboxes] = []
        self._uses = 0
        self._last = clock()
        self._watched = False
        self._asleep = False
        self._ended = False

    def join(self, member: Sandboxes) -> None:
        """These sandboxes are given back with the rest."""
        with self._lock:
            if not self._members:
                self._holdings.begin()
            self._members.append(member)
            self._watch()

    def leave(self, member: Sandboxes) -> None:
        """A session ends. After the last nothing is given back or taken again any more."""
        with self._lock:
            if member in self._members:
                self._members.remove(member)
            if not self._members and not self._ended:
                self._ended = True
                if not self._asleep:
                    self._holdings.leave()

    def run(
        self,
        member: Sandboxes,
        tool: ToolDefinition,
        call: str,
        arguments: dict[str, Any],
        given: CapabilitySet,
    ) -> CallResult:
        """Run a call. What was given back for it to run in is taken again first."""
        try:
            with self.using():
                return member.run(tool, call, arguments, given)
        except (Denied, WorkspaceError) as error:
            text = f"what this session had given back while it was idle cannot be had now: {error}"
            return CallResult(error=CallError("tool_error", text))

    @contextmanager
    def using(self) -> Iterator[None]:
        """What is held stays held meanwhile.

        Raises:
            Denied, WorkspaceError, SandboxError: it was given back, and cannot be had now.
        """
        with self._lock:
            if self._asleep and not self._ended:
                self._take_again()
            self._uses += 1
        try:
            yield
        finally:
            with self._lock:
                self._uses -= 1
                self._last = self._clock()
                self._watch()

    def _take_again(self) -> None:
        self._holdings.take_again()
        try:
            for member in self._members:
                member.wake()
        except BaseException:
            self._holdings.give_back()
            raise
        self._asleep = False

    def _watch(self) -> None:
        """Have somebody look when it may be time."""
        if self._after is not None and not (self._watched or self._asleep or self._ended):
            self._watched = True
            left = self._last + self._after - self._clock()
            self._alarm.after(max(0.0, left), self._look)

    def _look(self) -> None:
        with self._lock:
            self._watched = False
            if self._uses or self._asleep or self._ended:
                # Whoever uses it looks again when that ends.
                return
            if self._after is not None and self._clock() - self._last < self._after:
                self._watch()
                return
            try:
                for member in self._members:
                    member.rest()
            except TrilemmaError:
                _log.exception("a session that is idle could not give its sandboxes back")
                # What one of them may still show stays held, and the session counts as awake.
                self._last = self._clock()
                self._watch()
                return
            self._asleep = True
            try:
                self._holdings.give_back()
            except TrilemmaError:
                _log.exception("a session that is idle could not give everything back")
