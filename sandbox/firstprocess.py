"""The first process of a container. When it has ended, nothing in the container runs any more."""

import contextlib
import os
import select
import signal

from trilemma.errors import SandboxLost


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

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._wait(0)

    def end(self, seconds: float) -> bool:
        """Kill it and wait; whether it is gone, and with it every process and mount inside.

        Where it belongs to another user it only ends by itself, once its connection is closed.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        return self._wait(seconds)

    def close(self) -> None:
        """Let go of it. Once."""
        os.close(self._descriptor)

    def _wait(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
