"""Starting and ending the proxy process from the gateway's side."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

from trilemma.errors import SandboxError

from .frames import LARGEST, TO_GATEWAY, BadFrame, Configure, Ready, decode, encode

START_SECONDS = 15.0

_LIBRARIES = ("h11", "idna")
# The package's front door would load much that a proxy has no use for: an empty one stands in.
_BOOT = (
    "import sys, types; control, folder, *sys.path[len(sys.path):] = sys.argv[1:]; "
    "sys.modules['trilemma'] = door = types.ModuleType('trilemma'); door.__path__ = [folder]; "
    "from trilemma.sandbox.egress.proxy import main; main(int(control))"
)
_KEPT_ENVIRONMENT = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class ProxyProcess:
    """A proxy process and the control connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self.control = control

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs and can be asked for connections."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it now; all its connections are cut. Ending twice is fine."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self.control.close()


def start_process(settings: Configure) -> ProxyProcess:
    """Start a proxy and wait until it has given up what it does not need.

    Raises:
        SandboxError: it did not start.

    """
    configure = encode(settings)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            process = _spawn(theirs)
    except OSError as error:
        ours.close()
        raise SandboxError(f"the egress proxy cannot be started: {error}") from error
    started = ProxyProcess(process, ours)
    try:
        ours.settimeout(START_SECONDS)
        ours.send(configure)
        if not isinstance(decode(ours.recv(LARGEST), TO_GATEWAY), Ready):
            raise BadFrame("it spoke out of turn")
    except (OSError, BadFrame) as error:
        reason = _last_line(process) or str(error)
        started.end()
        raise SandboxError(f"the egress proxy did not start: {reason}") from None
    ours.settimeout(None)
    return started


def _spawn(control: socket.socket) -> subprocess.Popen[bytes]:
    """A fresh interpreter without site packages, user settings or the gateway's secrets."""
    number = str(control.fileno())
    libraries = dict.fromkeys(str(_folder(name).parent) for name in _LIBRARIES)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT, number, str(_folder("trilemma")), *libraries],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(),
        cwd="/",
        pass_fds=(control.fileno(),),
        # Ctrl-C at a terminal must reach the gateway alone, which then ends its proxies.
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    # No search list: a name that was allowed is looked up as it stands, or not at all.
    return {**kept, "LOCALDOMAIN": ""}


def _folder(package: str) -> Path:
    """Where the gateway itself finds a package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SandboxError(f"the package {package!r} is not installed; reinstall trilemma")
    return Path(spec.origin).parent.absolute()


def _last_line(process: subprocess.Popen[bytes]) -> str:
    process.kill()
    _, complaint = process.communicate()
    return (complaint.decode(errors="replace").strip().splitlines() or [""])[-1]
