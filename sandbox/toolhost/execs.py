"""Exactly one execve: the filter of a vetted command asks, and only the first is let through."""

import fcntl
import os
import struct
from errno import EPERM

_NOTIF_RECV, _NOTIF_SEND = 0xC0502100, 0xC0182101
_NOTIF_SIZE = 80
_CONTINUE = 1


class ExecGate:
    """Answers one command's execve notifications.

    The first comes from the tool host's own code, so that letting it continue races with nobody;
    the command itself is never asked twice.
    """

    def __init__(self, listener: int) -> None:
        self.listener = listener
        self._open = True

    def answer(self) -> None:
        """Answer the notification that waits."""
        notification = bytearray(_NOTIF_SIZE)
        try:
            fcntl.ioctl(self.listener, _NOTIF_RECV, notification)
        except OSError:
            return  # The asking process was killed in between.
        (cookie,) = struct.unpack_from("=Q", notification)
        verdict = (0, _CONTINUE) if self._open else (-EPERM, 0)
        self._open = False
        try:
            fcntl.ioctl(self.listener, _NOTIF_SEND, struct.pack("=QqiI", cookie, 0, *verdict))
        except OSError:
            return

    def close(self) -> None:
        """Close the listener: every execve from now on fails."""
        os.close(self.listener)
