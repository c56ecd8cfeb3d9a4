"""Real servers that count what reaches them, and real proxies that note what they ask."""

import contextlib
import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from trilemma.sandbox.egress.client import EgressProxy
from trilemma.sandbox.egress.request import EgressAnswer, EgressOutcome, EgressRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Origin:
    """A server on a real socket. ``seen`` holds, raw, every request that arrived."""

    address: str
    reply: Callable[[bytes], bytes]
    tls: ssl.SSLContext | None
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    raw: Callable[[socket.socket], None] | None = None

    def __post_init__(self) -> None:
        self._listener = socket.create_server((self.address, 0), family=_family(self.address))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        self._open: list[socket.socket] = []

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self.reached.set()
                self._open.append(sock)
                threads.append(threading.Thread(target=self._serve, args=(sock,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            if self.raw is not None:
                self.raw(sock)
                return
            if self.tls is None:
                self._answer(sock)
                return
            with self.tls.wrap_socket(sock, server_side=True) as secure:
                self._answer(secure)

    def _answer(self, sock: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw and (chunk := sock.recv(65536)):
            raw += chunk
        head, _, body = raw.partition(b"\r\n\r\n")
        while len(body) < _length(head) and (chunk := sock.recv(65536)):
            body += chunk
        if head:
            self.seen.append(head + b"\r\n\r\n" + body)
            sock.sendall(self.reply(self.seen[-1]))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@dataclass
class Watched:
    """A proxy with what it asked and what it reported."""

    proxy: EgressProxy
    asked: list[EgressRequest]
    ended: "queue.SimpleQueue[EgressOutcome]"

    def end(self) -> EgressOutcome:
        return self.ended.get(timeout=10)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def outcome(self) -> str | None:
        return self.headers.get("trilemma-outcome")


class Sandboxed:
    """What a program in a sandbox can do with the connection it was given."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(20)

    def send(self, raw: bytes | str) -> None:
        self.sock.sendall(raw.encode() if isinstance(raw, str) else raw)

    def request(self, method: str, url: str, *fields: str, body: bytes = b"") -> Reply:
        lines = [f"{method} {url} HTTP/1.1", "Host: anything", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)
        return self.reply(method)

    def reply(self, method: str = "GET") -> Reply:
        response = http.client.HTTPResponse(self.sock, method=method)
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            body = b"" if method == "CONNECT" and response.status == 200 else response.read()
            return Reply(response.status, headers, body)
        finally:
            response.close()

    def rest(self) -> bytes:
        """All that still arrives, up to the end of the connection."""
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := self.sock.recv(65536):
                received += chunk
        return received


@pytest.fixture
def origin() -> Iterator[Callable[..., Origin]]:
    with contextlib.ExitStack() as stack:

        def make(
            reply: bytes | Callable[[bytes], bytes] = OK,
            address: str = "127.0.0.1",
            tls: ssl.SSLContext | None = None,
            raw: Callable[[socket.socket], None] | None = None,
        ) -> Origin:
            answer = reply if callable(reply) else lambda _: reply
            made = Origin(address, answer, tls, raw=raw)
            stack.callback(made.close)
            return made

        yield make


def allow_all(request: EgressRequest) -> EgressAnswer:
    return EgressAnswer(allow=True, budget_bytes_out=1 << 20, max_bytes_in=1 << 20)


@pytest.fixture
def allow() -> Callable[[EgressRequest], EgressAnswer]:
    return allow_all


@pytest.fixture
def watched() -> Iterator[Callable[..., Watched]]:
    """Start a proxy. By default it allows everything to the loopback addresses named to it."""
    with contextlib.ExitStack() as stack:

        def make(
            decide: Callable[[EgressRequest], EgressAnswer] = allow_all,
            *origins: Origin,
            **settings: Any,
        ) -> Watched:
            asked: list[EgressRequest] = []
            ended: queue.SimpleQueue[EgressOutcome] = queue.SimpleQueue()

            def note(request: EgressRequest) -> EgressAnswer:
                asked.append(request)
                return decide(request)

            settings.setdefault("private", tuple(_named(each) for each in origins))
            settings.setdefault("budget_bytes_out", 1 << 20)
            settings.setdefault("record", ended.put)
            proxy = EgressProxy.start(decide=note, **settings)
            stack.callback(proxy.close)
            return Watched(proxy, asked, ended)

        yield make


def _named(origin: Origin) -> str:
    host = f"[{origin.address}]" if ":" in origin.address else origin.address
    return f"{host}:{origin.port}"


@pytest.fixture
def inside() -> Iterator[Callable[..., Sandboxed]]:
    """The sandbox's end: of a call's own connection, or of one to a tunnel's socket."""
    with contextlib.ExitStack() as stack:

        def make(watched: Watched, call: str = "call-1", path: Path | None = None) -> Sandboxed:
            if path is None:
                sock = stack.enter_context(watched.proxy.connect(call))
            else:
                sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                sock.connect(str(path))
            return Sandboxed(sock)

        yield make


@dataclass(frozen=True)
class Authority:
    """A certificate authority that nobody knows but the test."""

    ca: trustme.CA
    file: Path

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, file)
