"""The janitor: a small process that cleans up after its gateway, however that one ends.

It holds the reading end of a pipe and a descriptor of the gateway's process. When the gateway
exits, is killed, or closes the pipe, the janitor removes the containers of the instance, unmounts
what lies below its runtime directory and removes that. A gateway that cleaned up by itself says so
first, and the janitor only looks after the directory.

Run as ``python -I -m trilemma.sandbox.janitor PIPE PID DIRECTORY INSTANCE``. The docker SDK is
imported when it is needed, not while waiting.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from .runtime import RuntimeDir

_DONE = b"d"


class Janitor:
    """The gateway's end."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._process = process
        self._pipe: int | None = pipe

    @classmethod
    def start(cls, runtime: RuntimeDir, *, also: Path | None = None) -> Self:
        """Start the janitor of an instance. Do so before anything is made that it must clean.

        ``also`` is a directory elsewhere that goes when all that was mounted is gone.
        """
        reading, writing = os.pipe()
        try:
            process = _spawn(reading, runtime, also)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def close(self, *, clean: bool, seconds: float = 30.0) -> None:
        """Let it finish, and wait for it. ``clean`` says that no container is left."""
        if self._pipe is None:
            return
        with contextlib.suppress(BrokenPipeError):
            if clean:
                os.write(self._pipe, _DONE)
        os.close(self._pipe)
        self._pipe = None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _spawn(pipe: int, runtime: RuntimeDir, also: Path | None) -> subprocess.Popen[bytes]:
    arguments = [str(pipe), str(os.getpid()), str(runtime.path), runtime.instance]
    arguments += [] if also is None else [str(also)]
    # The log lies in the directory that the janitor removes: it stays where cleaning failed.
    with (runtime.path / "janitor.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-m", __name__, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=[pipe],
            # Its own session: Ctrl-C at the terminal ends the gateway, not the janitor.
            start_new_session=True,
            cwd="/",
        )


def _wait(pipe: int, pid: int) -> bool:
    """Wait for the gateway's end; whether it said that it left no container.

    The process descriptor matters where a child of the gateway, forked without exec, still holds
    the other end of the pipe.
    """
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    try:
        poll.register(os.pidfd_open(pid), select.POLLIN)
    except ProcessLookupError:
        return False
    poll.poll()
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        return os.read(pipe, 1) == _DONE
    return False


def _clean(path: Path, instance: str, also: list[str], *, containers: bool) -> None:
    # Late, for the SDK and its HTTP client are most of what a waiting janitor would weigh.
    from .leftovers import remove_directory
    from .treeremoval import remove_tree

    if containers:
        from .engine import Engine
        from .leftovers import remove_until_quiet

        engine = Engine()
        try:
            remove_until_quiet(engine, instance)
        finally:
            engine.close()
    remove_directory(path)
    for directory in also:
        remove_tree(Path(directory))


def main(arguments: list[str]) -> None:
    """Wait, then clean."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pipe, pid, path, instance, *also = arguments
    clean = _wait(int(pipe), int(pid))
    _clean(Path(path), instance, also, containers=not clean)


if __name__ == "__main__":
    main(sys.argv[1:])
