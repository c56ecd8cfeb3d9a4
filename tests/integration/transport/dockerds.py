"""Further engines of this machine, which share nothing with its own and leave nothing behind.

Each lives in a mount and a process namespace of its own. What it keeps is memory mounted there, and
so is what it changes in ``/etc``, where it enters its users. With the last process all is gone.

Within, every mount is shared, as on each machine with systemd: what a container is given of the
host's then follows it.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from tests.conftest import INSTANCE, unavailable
from tests.integration.transport.servers import (
    Elsewhere,
    free_port,
    tls_engine,
    write_certificates,
)

from trilemma.sandbox import images
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images import built
from trilemma.sandbox.images.engine import engine as image_engine

_SECONDS = 60
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_IN_ITS_NAMESPACES = """
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc
echo '{}' >/etc/docker-of-a-test.json
"""
_ROOTFUL = """
dockerd --userns-remap=default --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" $2
"""
_USER, _RANGE = 12346, "400000:65536"
RAISED = 200
"""How much sooner than others what a user starts is ended, where systemd starts it."""
# There is no systemd that it could ask for control groups, whatever this machine has.
_ROOTLESS = f"""
echo 'tester:x:{_USER}:{_USER}::/:/bin/sh' >>/etc/passwd
echo 'tester:x:{_USER}:' >>/etc/group
echo 'tester:{_RANGE}' | tee -a /etc/subuid >>/etc/subgid
chown {_USER} "$1" "$3"
export HOME="$1" XDG_RUNTIME_DIR="$1"
echo {RAISED} >/proc/self/oom_score_adj
setpriv --reuid={_USER} --regid={_USER} --clear-groups rootlesskit --net=host --copy-up=/run \
    --propagation=rslave --state-dir="$1/kit" sh -c 'rm -f /run/docker /run/containerd \
    /run/systemd && exec dockerd --rootless --data-root "$0/data" --exec-root "$0/exec" \
    --pidfile "$0/pid" '"$2" "$1"
"""
_ALWAYS = ("--bridge=none", "--iptables=false", "--config-file=/etc/docker-of-a-test.json")


class Dockerd:
    """One more engine, as Debian's package has it."""

    def __init__(self, script: str, options: Sequence[str] = (), *, needs: Sequence[str]) -> None:
        if os.geteuid() != 0:
            unavailable("needs root")
        for program in ("dockerd", "unshare", *needs):
            if shutil.which(program, path=_PATH) is None:
                unavailable(f"needs {program}")
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        # A user without root has to reach it, and a short path for sockets.
        self.folder.chmod(0o755)
        (self.folder / "memory").mkdir()
        (self.folder / "door").mkdir()
        self._socket = self.folder / "door/docker.sock"
        self._notes: Path | None = None
        self._start(script, [f"--host=unix://{self._socket}", *_ALWAYS, *options])

    @property
    def here(self) -> Elsewhere:
        """It, by its socket."""
        return Elsewhere({"DOCKER_HOST": f"unix://{self._socket}"})

    def build(self, *kinds: images.Kind) -> dict[images.Kind, str]:
        """Our images for it, from the parts that are kept: kind to id."""
        with pytest.MonkeyPatch.context() as environment:
            self.here.use(environment)
            with image_engine() as client:
                notes = built._place(client, "any").parent
            if not notes.exists():
                self._notes = notes
            return {kind: images.ensure(kind, progress=print) for kind in kinds}

    def left(self) -> list[str]:
        """Containers and volumes of gateways that are there still."""
        with pytest.MonkeyPatch.context() as environment:
            self.here.use(environment)
            engine = Engine()
        try:
            found = (*engine.containers(INSTANCE), *engine.volumes(INSTANCE))
            return [str(each["Labels"][INSTANCE]) for each in found]
        finally:
            engine.close()

    def close(self) -> None:
        """Its namespaces end with it, and everything in them. Of its images nothing is kept."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)
        if self._notes is not None:
            shutil.rmtree(self._notes)

    def _start(self, script: str, options: Sequence[str]) -> None:
        arguments = [str(self.folder / "memory"), " ".join(options), str(self._socket.parent)]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "--propagation=private"),
                    *("--pid", "--fork", "--kill-child", "--mount-proc"),
                    *("sh", "-c", _IN_ITS_NAMESPACES + script, "sh", *arguments),
                ],
                stdout=log,
                stderr=log,
                env={"PATH": _PATH},
            )
        deadline = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / "log").read_text()
                self.close()
                pytest.fail(f"a further dockerd does not start:\n{log_text[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
            asking.settimeout(_SECONDS)
            asking.connect(str(self._socket))
            asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return asking.recv(4096).startswith(b"HTTP/1.0 200")
        return False


class Remapped(Dockerd):
    """An engine with ``userns-remap``, which listens with TLS as well."""

    def __init__(self, folder: Path) -> None:
        self.tls = Tls(folder)
        super().__init__(_ROOTFUL, self.tls.options, needs=["useradd"])


class Rootless(Dockerd):
    """An engine that an ordinary user runs."""

    def __init__(self) -> None:
        super().__init__(_ROOTLESS, needs=["rootlesskit", "newuidmap", "setpriv"])


class Tls:
    """Certificates of an engine that listens with TLS, and of those whom it lets in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        authority, other = trustme.CA(), trustme.CA()
        write_certificates(folder / "client", authority, authority.issue_cert("a@example.org"))
        write_certificates(folder / "stranger", authority, other.issue_cert("b@example.org"))
        write_certificates(folder / "engine", authority, authority.issue_cert("127.0.0.1"))

    @property
    def options(self) -> list[str]:
        """What ``dockerd`` takes."""
        own = self.folder / "engine"
        return [
            f"--host=tcp://127.0.0.1:{self.port}",
            "--tlsverify",
            f"--tlscacert={own / 'ca.pem'}",
            f"--tlscert={own / 'cert.pem'}",
            f"--tlskey={own / 'key.pem'}",
        ]

    def elsewhere(self, who: str = "client") -> Elsewhere:
        """The engine, for one who has these certificates."""
        return tls_engine(self.port, self.folder / who)
