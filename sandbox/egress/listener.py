"""The listening socket of a tunnel: bound by the gateway, served by the proxy."""

import os
import socket
from pathlib import Path

from trilemma.errors import SandboxError

BACKLOG = 64


def bind_listener(path: Path, uid: int | None) -> socket.socket:
    """Listen at ``path``. With ``uid`` only that user (and root) may connect.

    Without, and where this process may not give a file away, anybody may who can reach ``path``:
    then its folder has to keep others out.

    Raises:
        SandboxError: it cannot be made there.

    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Nobody can connect before listen: the mode is right by then.
        if uid is not None and os.geteuid() == 0:
            os.chown(path, uid, -1)
        path.chmod(0o600 if uid is not None and os.geteuid() in (0, uid) else 0o666)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SandboxError(f"cannot listen for egress at {str(path)!r}: {error}") from error
    return listener
