"""The tool host's view of its children: one process per call, forked ahead of it."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from .execs import ExecGate


class Child:
    """One forked process: waiting for its call, or running it."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.link = link
        """Carries the call's descriptors in, and the listener of a vetted command's filter out."""
        self.call = 0
        self.report = False
        """The gateway waits until this process is gone, however it ended."""
        self.cancelled = False
        self.gate: ExecGate | None = None

    def kill(self) -> None:
        """Kill this process; harmless when it has ended already."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Give back what the tool host holds for this child."""
        os.close(self.pidfd)
        self.link.close()
        if self.gate is not None:
            self.gate.close()


def fork_child(run: Callable[[socket.socket], NoReturn]) -> Child:
    """Fork a child that runs ``run`` with its end of a link and never returns."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            run(theirs)
        finally:
            os._exit(70)
    theirs.close()
    return Child(pid, ours)
