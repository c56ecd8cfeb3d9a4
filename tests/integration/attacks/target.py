"""What lies on the host to be attacked: a secret, a folder with traps, servers."""

import os
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SHELL = "/bin/dash"


@dataclass
class Target:
    """One host, as far as an attack can see it."""

    folder: Path
    secret: Path
    abstract: str = field(default_factory=lambda: f"trilemma-{secrets.token_hex(6)}")
    arrived: list[bytes] = field(default_factory=list)
    """What came through any of its sockets."""
    tcp: str = ""
    dns: str = ""

    def argument(self, template: str) -> str:
        """The argument of a row."""
        words = {"secret": self.secret, "tcp": self.tcp, "dns": self.dns, "abstract": self.abstract}
        return template.format_map(words)

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Sockets in the folder: put there after a view of it was made, so nothing masks them."""
        with ExitStack() as stack:
            for name, kind in (("agent", socket.SOCK_STREAM), ("datagram", socket.SOCK_DGRAM)):
                path = self.folder / f"{name}.sock"
                stack.enter_context(self._server(socket.AF_UNIX, kind, str(path)))
                stack.callback(path.unlink)
                path.chmod(0o777)
            yield

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Its servers, for as long as the attacks run."""
        with ExitStack() as stack:
            listen = stack.enter_context
            tcp = listen(self._server(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)))
            dns = listen(self._server(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)))
            listen(self._server(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}"))
            self.tcp = f"127.0.0.1:{tcp.getsockname()[1]}"
            self.dns = f"127.0.0.1:{dns.getsockname()[1]}"
            yield

    @contextmanager
    def _server(
        self, family: int, kind: int, address: str | tuple[str, int]
    ) -> Iterator[socket.socket]:
        with socket.socket(family, kind) as server:
            server.bind(address)
            keep = self._keep_datagrams if kind == socket.SOCK_DGRAM else self._keep_streams
            if kind == socket.SOCK_STREAM:
                server.listen()
            thread = threading.Thread(target=keep, args=(server,))
            thread.start()
            try:
                yield server
            finally:
                # It wakes the thread; a datagram socket complains about it as well.
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _keep_streams(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self.arrived.append(connection.recv(100))

    def _keep_datagrams(self, server: socket.socket) -> None:
        """Answers too, as a name server would."""
        while True:
            try:
                data, peer = server.recvfrom(600)
            except OSError:
                return
            if not data:
                return
            self.arrived.append(data)
            if peer:
                server.sendto(data, peer)


def make_target(root: Path) -> Target:
    """A folder with what strangers may have left in it."""
    root.chmod(0o755)
    folder, secret = root / "folder", root / "secret.txt"
    folder.mkdir()
    folder.chmod(0o777)
    secret.write_text("host secret")
    (folder / "note.txt").write_text("in the workspace")
    (folder / "out").symlink_to(secret)
    (folder / "script").write_text("#!/usr/bin/python3\nopen('/tmp/canary', 'w').write('ran')\n")
    (folder / "script").chmod(0o755)
    os.mkfifo(folder / "fifo")
    (folder / "fifo").chmod(0o666)
    os.mknod(folder / "node", 0o020666, os.makedev(1, 3))
    (folder / "node").chmod(0o666)
    shutil.copy(SHELL, folder / "shell")
    (folder / "shell").chmod(0o4755)
    return Target(folder, secret)
