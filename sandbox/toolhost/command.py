"""A vetted command: one pinned program, executed exactly once."""

import hashlib
import os
import socket
from typing import Any

from . import kernel, lock
from .context import Context
from .errors import BadArguments, CallFailed, NotFound
from .files import limit_files
from .program import Program, run as run_program


def run(entry: dict[str, Any], context: Context) -> dict[str, object]:
    """Run the command and return its exit code and output."""
    if context.settings.exec != "once":
        raise CallFailed("this sandbox does not run vetted commands")
    executable = _pinned(entry["executable"], entry["sha256"])
    argv = _words(entry["argv"])

    def allow_one_exec() -> None:
        listener = kernel.install_listening_filter(lock.command_lock())
        socket.send_fds(context.link, [b"1"], [listener])
        limit_files(context.settings)

    program = Program(
        executable=executable,
        argv=argv,
        stdin=entry["stdin"] or "",
        limit=context.settings.output // 4,
        before_exec=allow_one_exec,
    )
    return run_program(program).as_json()


def _pinned(path: str, sha256: str) -> str:
    """The path, when the file there is the one that was vetted. The image cannot be written to."""
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFound(f"{path!r}: {os.strerror(error.errno or 0)}") from None
    if found != sha256:
        raise CallFailed(f"{path!r} has sha256 {found}, not the pinned {sha256}")
    return path


def _words(argv: list[str]) -> list[str]:
    if not argv or any("\0" in word for word in argv):
        raise BadArguments("argv must be a non-empty list of strings without NUL")
    return argv
