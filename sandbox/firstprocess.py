"""The first process of a container. When it has ended, nothing in the container runs any more."""

import contextlib
import os
import select
import signal
import time
from pathlib import Path

from trilemma.errors import SandboxError, SandboxLost

from . import proc

_PATIENCE = 0.5
"""Seconds in which a process that was killed is gone, unless something holds it up."""


class FirstProcess:
    """Held by a descriptor, so that its number cannot come to mean another process."""

    def __init__(self, pid: int) -> None:
        """Take hold of it. Whoever asks sees to it that ``pid`` still is the container's.

        Raises:
            SandboxLost: it has ended already.
        """
        self.pid = pid
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            raise SandboxLost(f"process {pid} of a container ended at once") from None
        self._members: Path | None = None
        with contextlib.suppress(OSError, SandboxError):
            self._members = proc.member_list(pid)

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._wait(0)

    def end(self, seconds: float) -> bool:
        """Kill it and wait; whether it is gone, and with it every process and mount inside.

        Where it belongs to another user it only ends by itself, once its connection is closed.
        """
        deadline = time.monotonic() + seconds
        _kill(self._descriptor)
        while not self._wait(_PATIENCE):
            # A crowd, or somebody who froze it, holds it up. The others are not left to it then:
            # what has been killed runs nothing of its own any more, whenever it comes to that.
            self._kill_all()
            if time.monotonic() > deadline:
                return False
        return True

    def close(self) -> None:
        """Let go of it. Once."""
        os.close(self._descriptor)

    def _kill_all(self) -> None:
        if self._members is None:
            return
        with contextlib.suppress(OSError):
            for member in proc.members(self._members):
                _kill_one(member, self._members)

    def _wait(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def _kill(descriptor: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _kill_one(member: int, listed: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(member)
        try:
            # Before it was held its number may have become another's.
            if member in proc.members(listed):
                _kill(descriptor)
        finally:
            os.close(descriptor)
