"""The tool host's view of its children: one process per call, forked ahead of it."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from .execs import ExecGate


@dataclass(slots=True)
class Child:
    """One forked process: waiting for its call, or running it."""

    pid: int
    pidfd: int
    link: socket.socket
    """Carries the call's descriptors in, and the listener of a vetted command's filter out."""
    call: int = 0
    report: bool = False
    """The gateway waits until this process is gone, however it ended."""
    cancelled: bool = False
    gate: ExecGate | None = None

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
    return Child(pid=pid, pidfd=os.pidfd_open(pid), link=ours)
