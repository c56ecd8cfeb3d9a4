"""The tool host: process 1 of every sandbox.

It never sees arguments or results. The gateway gives each call one end of a socket pair of its
own; the tool host hands that to a child forked ahead of time and only watches how the child ends.
Being process 1 it cannot be killed from inside; when it exits, the kernel kills all the others.
"""

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from . import kernel, lock, selftest, witness
from .child import run_call
from .children import Child, fork_child
from .execs import ExecGate
from .frames import Frame, FrameError, FrameReader, receive_fds, send
from .preload import preload
from .settings import Settings, read_settings
from .tunnel import EGRESS_SOCKET

HOST_SOCKET = "/run/trilemma/host.sock"

_REAP_MILLISECONDS = 500
_FORK_MILLISECONDS = 2
_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT


class ToolHost:
    """The loop: calls in, children out, endings reported."""

    def __init__(self, control: socket.socket, reader: FrameReader, settings: Settings) -> None:
        self._control = control
        self._reader = reader
        self._settings = settings
        self._poll = select.poll()
        self._watched: dict[int, Callable[[], None]] = {}
        self._running: dict[int, Child] = {}
        self._given_up: set[int] = set()
        """Cancelled when they were not running. Numbers are not used again."""
        self._spare: Child | None = None
        self._just_started = False
        """A call began in this round of the loop."""

    def serve(self) -> None:
        """Serve calls until the gateway closes the connection."""
        self._watch(self._control.fileno(), self._receive)
        self._fork_spare()
        while True:
            for fd, _ in self._poll.poll(self._patience()):
                # An earlier callback of the same round may have ended this one's child.
                if (callback := self._watched.get(fd)) is not None:
                    callback()
            if self._settings.exclusive:
                self._reap_orphans()
            elif self._lacks_spare and not self._just_started:
                self._fork_spare()
            self._just_started = False

    def _patience(self) -> int | None:
        """Milliseconds to wait for the next event before the loop goes round by itself."""
        if self._settings.exclusive:
            return _REAP_MILLISECONDS if self._running else None
        # Forking at once would slow down the child that was just given work. The spare is made
        # when that has ended, or after a moment.
        return _FORK_MILLISECONDS if self._lacks_spare else None

    @property
    def _lacks_spare(self) -> bool:
        # Before the workspace that is to come a child would stand elsewhere, and believe there
        # is none.
        return self._spare is None and self._settings.workspace != "later"

    def _receive(self) -> None:
        if not self._reader.feed():
            raise EOFError
        while (frame := self._reader.take()) is not None:
            self._handle(frame)

    def _handle(self, frame: Frame) -> None:
        match frame:
            case {
                "type": "call",
                "call": int(call),
                "egress": bool(egress),
                "report": bool(report),
            }:
                fds = [self._reader.fds.popleft() for _ in range(1 + egress)]
                self._start(call, fds, report)
            case {"type": "cancel", "call": int(call)}:
                self._cancel(call)
            case {"type": "look"}:
                send(self._control, witness.look())
            case {"type": "mounted", "workspace": "ro" | "rw" as access}:
                self._mounted(access)
            case _:
                raise FrameError(f"no such frame: {frame.get('type')!r}")

    def _mounted(self, access: str) -> None:
        """The workspace that was to come later is there: look at it before the first call."""
        if self._settings.workspace != "later" or self._running:
            raise FrameError("no workspace was awaited")
        self._settings = self._settings._replace(workspace=access)
        # It makes itself ready meanwhile.
        self._fork_spare()
        attempts = selftest.report_workspace(self._settings)
        send(self._control, {"type": "mounted", "attempts": attempts})

    def _start(self, call: int, fds: list[int], report: bool) -> None:
        if call in self._given_up:
            for fd in fds:
                os.close(fd)
            return
        if self._settings.exclusive and self._running:
            raise FrameError("one call at a time")
        child = self._take_spare()
        child.call, child.report = call, report
        # One that is already dead ends like any other, and that is reported.
        with contextlib.suppress(OSError):
            socket.send_fds(child.link, [b"1"], fds)
        for fd in fds:
            os.close(fd)
        self._running[call] = child
        self._watch(child.pidfd, lambda: self._ended(child))
        if self._settings.exec == "once":
            self._watch(child.link.fileno(), lambda: self._take_listener(child))
        self._just_started = True

    def _take_spare(self) -> Child:
        spare, self._spare = self._spare, None
        return spare or self._fork()

    def _fork_spare(self) -> None:
        if self._lacks_spare:
            self._spare = self._fork()

    def _fork(self) -> Child:
        return fork_child(lambda link: run_call(link, self._settings))

    def _take_listener(self, child: Child) -> None:
        """A child is about to execute its command, or is done with its link."""
        try:
            data, fds = receive_fds(child.link, 1, 1)
        except OSError:
            data, fds = b"", []
        self._forget(child.link.fileno())
        if data and fds and child.gate is None:
            child.gate = gate = ExecGate(fds[0])
            self._watch(gate.listener, gate.answer)

    def _cancel(self, call: int) -> None:
        child = self._running.get(call)
        if child is None:
            # It has ended, or its frame is still on the way: then it never begins.
            self._given_up.add(call)
            self._report(call, 0)
            return
        child.cancelled = True
        child.kill()

    def _ended(self, child: Child) -> None:
        """A call's process is gone: end all it started, tell the gateway, prepare the next."""
        for fd in (child.pidfd, child.link.fileno()):
            self._forget(fd)
        if child.gate is not None:
            self._forget(child.gate.listener)
        del self._running[child.call]
        status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        child.close()
        if self._settings.exclusive:
            _end_all_others()
        if status or child.report or child.cancelled:
            self._report(child.call, status)
        if self._settings.exclusive:
            self._fork_spare()

    def _report(self, call: int, status: int) -> None:
        send(self._control, {"type": "ended", "call": call, "status": status})

    def _reap_orphans(self) -> None:
        """Processes that a call's program left to process 1 do not pile up as zombies."""
        children = (*self._running.values(), self._spare)
        known = {child.pid for child in children if child is not None}
        with contextlib.suppress(ChildProcessError):
            while (dead := os.waitid(os.P_ALL, 0, _ENDED)) is not None and dead.si_pid not in known:
                os.waitpid(dead.si_pid, 0)

    def _watch(self, fd: int, callback: Callable[[], None]) -> None:
        self._watched[fd] = callback
        self._poll.register(fd, select.POLLIN)

    def _forget(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)


def _end_all_others() -> None:
    """Kill and reap every process of the sandbox but this one; nothing can fork out of it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def configure(control: socket.socket, reader: FrameReader) -> Settings:
    """Become the tool host that the gateway asks for, and say what was found when trying."""
    settings = read_settings(reader.read())
    missing = preload(settings)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings.file_size, settings.file_size))
    kernel.become_opaque()
    kernel.give_up_privileges()
    kernel.install_filter(lock.host_lock(settings.exec, settings.egress))
    lock.call_lock(settings.exec)
    lock.module_lock()
    # Children are forked off this heap: a collection in one would copy all its pages.
    gc.collect()
    gc.freeze()
    ready: dict[str, Any] = {
        "type": "ready",
        "python": sys.version.split()[0],
        "machine": os.uname().machine,
        "missing": missing,
        "attempts": selftest.report(settings),
    }
    send(control, ready)
    return settings


def main(arguments: list[str]) -> int:
    """Connect to the gateway and serve it until it goes away."""
    if os.getpid() != 1:
        # It kills every other process between calls.
        sys.exit("the tool host must be process 1 of a container")
    control = socket.socket(socket.AF_UNIX)
    control.connect(arguments[0] if arguments else HOST_SOCKET)
    return run(control)


def run(control: socket.socket, way_out: str = EGRESS_SOCKET) -> int:
    """Serve a gateway until it goes away; ``way_out`` is the egress proxy's socket."""
    # For process 1 the default action means that no signal from inside does anything.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    reader = FrameReader(control, max_fds=8)
    try:
        settings = configure(control, reader)._replace(way_out=way_out)
        ToolHost(control, reader, settings).serve()
    except (EOFError, ConnectionError):
        return 0
    return 1
