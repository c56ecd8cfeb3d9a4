"""From an allowed call to the sandbox that runs it."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from ..policy.capability import Capability, CapabilitySet
from ..sandbox.base import (
    BuiltinEntry,
    CallError,
    CallResult,
    CommandEntry,
    ModuleEntry,
    Sandbox,
    SandboxCall,
)
from ..sandbox.pool import Pool
from ..sandbox.spec import Egress, Mount, SandboxSpec
from .commands import entry as command_entry
from .diskwatch import DiskWatch
from .egress import DomainEgress, Exit
from .profiles import SandboxPlan
from .schemas import CommandTool
from .tools import ToolDefinition
from .workspaces.packwatch import PackWatch

_TUNNEL_SOCKET = "egress.sock"
KILL_AGAIN = 0.1
"""Seconds after which a call that has not ended is killed once more."""
_NO_FOLDER = "the tool works on files, and this agent has no workspace"
_READERS = tuple(map(BuiltinEntry, ("list_files", "read_file", "search_files")))
"""Built-in tools that write nothing: they still work when the layer is full."""


class Dispatch:
    """Runs the allowed calls of one session. Safe to use from several threads."""

    def __init__(
        self,
        pool: Pool,
        plan: SandboxPlan,
        egress: DomainEgress,
        exit: Exit,
        watch: Callable[[], DiskWatch | PackWatch | None],
        shown: Callable[[], Iterable[Mount]],
        patience: float = 0.0,
    ) -> None:
        """``watch`` gives what looks after the disk.

        ``shown`` gives the views that end with this session, and their sandboxes with them. A call
        waits ``patience`` seconds for its sandbox where there are as many as there may be.
        """
        self._pool = pool
        self._plan = plan
        self._egress = egress
        self._exit = exit
        self._watch = watch
        self._shown = shown
        self._patience = patience
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._leasing: set[str] = set()
        """Calls on their way into a sandbox."""
        self._running: dict[str, Sandbox] = {}
        self._cancelled: set[str] = set()
        self._tunnels: dict[Path, str] = {}
        self._closed = False

    def run(
        self, tool: ToolDefinition, call: str, arguments: dict[str, Any], given: CapabilitySet
    ) -> CallResult:
        """Run one call in a sandbox that can do what was ``given``, and nothing else.

        Raises:
            SandboxError: there is no such sandbox, or it was lost under the call.
        """
        if Capability.FILES in tool.needs and self._plan.mount is None:
            return CallResult(error=CallError("tool_error", _NO_FOLDER))
        spec = self._plan.spec(tool, given)
        writes = spec.mount is not None and tool.runner not in _READERS
        watch = self._watch() if writes else None
        if watch is not None and (full := watch.refusal()):
            return CallResult(error=CallError("tool_error", full))
        sandbox = self._begin(call, spec)
        structured = spec.egress is Egress.STRUCTURED
        if sandbox is None:
            return CallResult(error=CallError("cancelled", "the run was cancelled"))
        ended = None
        try:
            if watch is not None:
                watch.begin(call, partial(sandbox.cancel, call))
            result = sandbox.call(
                SandboxCall(
                    id=call,
                    entry=_entry(tool, arguments),
                    arguments=arguments,
                    seconds=self._plan.limits.call_seconds,
                    egress=self._egress.connect(call, self._exit) if structured else None,
                )
            )
        finally:
            self._end(call)
            if structured:
                self._egress.cut(call)
            if watch is not None:
                ended = watch.end(call)
        return CallResult(error=CallError("tool_error", ended)) if ended else result

    def cancel(self, call: str) -> None:
        """Kill a call, or keep it from starting.

        A call on its way into its sandbox may be missed: repeat this until it has ended.
        """
        with self._lock:
            self._cancelled.add(call)
            sandbox = self._running.get(call)
        if sandbox is not None:
            sandbox.cancel(call)

    def close(self) -> None:
        """The session ends: kill its calls, and destroy what no other session can use."""
        with self._lock:
            self._closed = True
        self._kill_all()
        self._silence()
        self._release()

    def rest(self) -> None:
        """Destroy the sandboxes of this session; nothing runs in them. A later call makes new ones.

        What is being made ahead may be missed; it ends with the domain's.
        """
        self._silence()
        self._pool.release_session(self._plan.session, self._shown())

    def wake(self, mount: Mount | None, executable_mount: Mount | None) -> None:
        """The workspace is shown anew, at other places than before."""
        self._plan = replace(self._plan, mount=mount, executable_mount=executable_mount)

    def prewarm(self, tools: tuple[ToolDefinition, ...], pair: CapabilitySet) -> None:
        """Begin to make the sandboxes that these tools will want, in the background."""
        for tool in tools:
            # What cannot be made is said at its call.
            with suppress(SpecError):
                spec = self._plan.spec(tool, pair if tool.takes_grants else tool.needs)
                self._pool.prewarm(spec)

    def _begin(self, call: str, spec: SandboxSpec) -> Sandbox | None:
        """The sandbox in which the call now runs; None where nobody wants it any more."""
        with self._lock:
            if self._unwanted(call):
                return None
            self._leasing.add(call)
        try:
            until = time.monotonic() + self._patience
            sandbox = self._pool.lease(
                spec, lambda: time.monotonic() < until and not self._unwanted(call)
            )
            if spec.egress is Egress.TUNNEL:
                self._listen(sandbox)
            with self._lock:
                if self._unwanted(call):
                    return None
                self._running[call] = sandbox
                return sandbox
        finally:
            with self._ended:
                self._leasing.discard(call)
                self._ended.notify_all()

    def _unwanted(self, call: str) -> bool:
        return self._closed or call in self._cancelled

    def _end(self, call: str) -> None:
        with self._lock:
            self._running.pop(call, None)
            self._cancelled.discard(call)
            self._ended.notify_all()

    def _kill_all(self) -> None:
        while running := list(self._running):
            for call in running:
                self.cancel(call)
            with self._ended:
                self._ended.wait_for(lambda: not self._running, KILL_AGAIN)

    def _silence(self) -> None:
        with self._lock:
            tunnels, self._tunnels = self._tunnels, {}
        for path, name in tunnels.items():
            self._egress.silence(path, name)

    def _release(self) -> None:
        """Give back the sandboxes, those too that calls on their way were still to get."""
        while True:
            last = not self._leasing
            self._pool.release_session(self._plan.session, self._shown())
            if last:
                return
            with self._ended:
                self._ended.wait_for(lambda: not self._leasing, KILL_AGAIN)

    def _listen(self, sandbox: Sandbox) -> None:
        path, name = sandbox.exchange / _TUNNEL_SOCKET, f"sandbox_{sandbox.id[:12]}"
        with self._lock:
            if self._closed:
                return
            self._tunnels[path] = name
        self._egress.listen(path, name, self._exit, sandbox.uid)


def _entry(
    tool: ToolDefinition, arguments: dict[str, Any]
) -> BuiltinEntry | ModuleEntry | CommandEntry:
    if isinstance(tool.runner, CommandTool):
        return command_entry(tool.runner, arguments)
    return tool.runner
