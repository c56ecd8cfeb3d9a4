"""Engines that are elsewhere: this machine's own, reached over ssh and over TLS."""

import getpass
import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from tests.conftest import unavailable

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_ENGINE = "/var/run/docker.sock"
_CLIENT = "client@example.org"


@dataclass(frozen=True)
class Elsewhere:
    """An engine's address, and what else has to be in the environment."""

    environment: dict[str, str]

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)


class SshServer:
    """A server on a loopback port with keys of its own; nobody's ``~/.ssh`` is read or written."""

    def __init__(self, folder: Path) -> None:
        if SSHD is None or shutil.which("ssh") is None:
            unavailable("needs sshd and ssh: on Debian, apt-get install openssh-server")
        self.folder = folder
        for name in ("host", "user", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
                check=True,
            )
        shutil.copy(folder / "user.pub", folder / "authorized")
        self.port = free_port()
        self._configure()
        assert SSHD is not None
        Path("/run/sshd").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL
        )
        self._wait()
        self.trust()

    @property
    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def elsewhere(self, key: str = "user", known: str = "known_hosts") -> Elsewhere:
        """The engine behind it. The ``ssh`` that is found first reads no configuration but ours."""
        program = self.folder / f"bin-{key}-{known}"
        program.mkdir(exist_ok=True)
        config = program / "config"
        config.write_text(
            f"IdentityFile {self.folder / key}\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"UserKnownHostsFile {self.folder / known}\nGlobalKnownHostsFile /dev/null\n"
        )
        wrapper = program / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        wrapper.chmod(0o755)
        path = f"{program}:{os.environ['PATH']}"
        return Elsewhere({"DOCKER_HOST": self.address, "PATH": path})

    def trust(self) -> None:
        """Write down the server's key, as a person does who has compared it."""
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        known = f"[127.0.0.1]:{self.port} {kind} {key}\n"
        (self.folder / "known_hosts").write_text(known)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _configure(self) -> None:
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder / 'host'}\n"
            f"AuthorizedKeysFile {self.folder / 'authorized'}\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n"
            "PermitRootLogin prohibit-password\n"
        )

    def _wait(self) -> None:
        for _ in range(200):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.02)
        pytest.fail("sshd does not start")


class TlsServer:
    """What an engine that listens with TLS is to its clients: it knows them by certificate."""

    def __init__(self, folder: Path) -> None:
        own, other = trustme.CA(), trustme.CA()
        self.folder = folder
        write_certificates(folder / "client", own, own.issue_cert(_CLIENT))
        write_certificates(folder / "stranger", own, other.issue_cert(_CLIENT))
        write_certificates(folder / "mistaken", other, own.issue_cert(_CLIENT))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.issue_cert("127.0.0.1").configure_cert(self._context)
        own.configure_trust(self._context)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def elsewhere(self, who: str = "client") -> Elsewhere:
        """The engine behind it, for one who has these certificates."""
        return tls_engine(self.port, self.folder / who)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(connection,), daemon=True).start()

    def _connect(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            secure = self._context.wrap_socket(connection, server_side=True)
            with secure, socket.socket(socket.AF_UNIX) as engine:
                engine.connect(_ENGINE)
                _pump_both(secure, engine)


def _pump_both(secure: ssl.SSLSocket, engine: socket.socket) -> None:
    """Until either side ends. Reading and writing one TLS connection is one thread's work."""
    secure.settimeout(5)
    while True:
        ready, _, _ = select.select([secure, engine], [], [])
        if secure in ready:
            data = secure.recv(65536)
            while secure.pending():
                data += secure.recv(65536)
            if not data:
                return
            engine.sendall(data)
        if engine in ready:
            data = engine.recv(65536)
            if not data:
                return
            secure.sendall(data)


def tls_engine(port: int, certificates: Path) -> Elsewhere:
    """An engine that listens with TLS, for one who has the certificates in that folder."""
    address = f"tcp://127.0.0.1:{port}"
    return Elsewhere({"DOCKER_HOST": address, "DOCKER_CERT_PATH": str(certificates)})


def write_certificates(folder: Path, trusted: trustme.CA, own: trustme.LeafCert) -> None:
    """The files of one side, by the names that the ``docker`` command looks for."""
    folder.mkdir()
    trusted.cert_pem.write_to_path(str(folder / "ca.pem"))
    own.private_key_pem.write_to_path(str(folder / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


def free_port() -> int:
    """A port of this machine's loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
