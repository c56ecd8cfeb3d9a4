"""The way to an engine behind ``ssh``: one connection, and a socket here that leads to it.

The system's own ``ssh`` does it, so its configuration, keys, agent and known hosts count as they
always do. It never asks: what it would ask is an error that says what to do. On the other side it
runs ``cat``, which answers once the connection stands and ends when this process does, however
that happens; nothing of it stays behind.
"""

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from trilemma.errors import EngineMissing

from .address import Address

_SECONDS = 30.0
_GREETING = b"trilemma\n"
_LONGEST_BANNER = 1024 * 1024
_OPTIONS = (
    *("-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"),
    *("-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
    *("-o", "StreamLocalBindMask=0177", "-o", "StreamLocalBindUnlink=yes"),
    # A connection that others share would outlive this one, or end with theirs.
    *("-o", "ControlPath=none", "-o", "ForwardAgent=no", "-o", "ForwardX11=no"),
    *("-o", "ClearAllForwardings=no", "-o", "PermitLocalCommand=no"),
)

_ADVICE = (
    (
        "Host key verification failed",
        "its host key is unknown or has changed; connect once by hand to check it: ssh {where}",
    ),
    (
        "Permission denied",
        "it accepts no key of yours; put one into its authorized_keys, or start ssh-agent",
    ),
    ("Could not resolve", "there is no machine of that name"),
    ("Connection refused", "no ssh server listens there"),
    ("timed out", "it does not answer"),
    ("Too many authentication failures", "name the right key as IdentityFile in ~/.ssh/config"),
)


class SshForward:
    """One running ``ssh``, and the socket through which the engine is reached."""

    def __init__(self, address: Address) -> None:
        """Connect.

        Raises:
            EngineMissing: there is no ``ssh``, or it cannot connect; why, and what to do.

        """
        program = shutil.which("ssh")
        if program is None:
            raise EngineMissing(
                f"DOCKER_HOST={address.text!r} needs the ssh program; "
                "on Debian install openssh-client"
            )
        self._command = (program, address)
        self._lock = threading.Lock()
        self._closed = False
        # Whatever it stands for, its number stays: the socket's name for this process alone.
        self._socket = os.open("/", os.O_PATH | os.O_CLOEXEC)
        self.address = address.through(Path(f"/proc/self/fd/{self._socket}"))
        try:
            self._process = self._connect(program, address)
        except BaseException:
            os.close(self._socket)
            raise

    def ensure(self) -> None:
        """Connect again where the connection has ended.

        Raises:
            EngineMissing: it cannot connect, or was closed.

        """
        with self._lock:
            if self._closed:
                raise EngineMissing("the connection to the engine was closed")
            if self._process.poll() is not None:
                _end(self._process)
                self._process = self._connect(*self._command)

    def close(self) -> None:
        """End the connection. Never raises; twice is fine."""
        with self._lock:
            if not self._closed:
                self._closed = True
                _end(self._process)
                os.close(self._socket)

    def _connect(self, program: str, address: Address) -> subprocess.Popen[bytes]:
        # Private to this user, and gone again at once: what is open needs no name.
        with tempfile.TemporaryDirectory(prefix="trilemma-ssh-") as folder:
            path = Path(folder) / "engine"
            process = _start(_command(program, address, path))
            try:
                _greet(process, address)
                self._keep(path)
            except BaseException:
                _end(process)
                raise
        return process

    def _keep(self, path: Path) -> None:
        """Hold the socket itself, under the number that is known."""
        opened = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.dup2(opened, self._socket, inheritable=False)
        finally:
            os.close(opened)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    # Nobody reads its complaints once it stands; they must not hold it up.
    os.set_blocking(writing, False)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=writing,
            # Ctrl-C at the terminal is for the gateway, which still has sandboxes to end.
            start_new_session=True,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    process.stderr = os.fdopen(reading, "rb", buffering=0)
    return process


def _greet(process: subprocess.Popen[bytes], address: Address) -> None:
    """Wait until the other side echoes: then the connection stands."""
    assert process.stdin is not None
    assert process.stdout is not None
    answer = b""
    deadline = time.monotonic() + _SECONDS
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(_GREETING)
        process.stdin.flush()
    while _GREETING not in answer:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise EngineMissing(f"ssh does not reach {address.text!r} within {_SECONDS:g} s")
        data = os.read(process.stdout.fileno(), 4096)
        if not data or len(answer) > _LONGEST_BANNER:
            raise EngineMissing(_why(process, address))
        answer += data


def _why(process: subprocess.Popen[bytes], address: Address) -> str:
    """What ``ssh`` said, in one line, and what to do."""
    assert process.stderr is not None
    process.terminate()
    said = os.read(process.stderr.fileno(), 65536).decode(errors="replace")
    where = f"{address.user}@{address.host}" if address.user else address.host
    if address.port:
        where = f"-p {address.port} {where}"
    lines = said.split("\n")
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "it just ended")
    for sign, advice in _ADVICE:
        if sign in said:
            reason = advice.format(where=where)
            break
    return f"ssh does not reach {address.text!r}: {reason[:300]}"


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(program: str, address: Address, path: Path) -> list[str]:
    command = [program, *_OPTIONS, "-L", f"{path}:{address.path}"]
    if address.port:
        command += ["-p", str(address.port)]
    if address.user:
        command += ["-l", address.user]
    return [*command, "--", address.host, "cat"]
