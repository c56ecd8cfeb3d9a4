"""An HTTP server on this machine's loopback that remembers what arrived."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Origin:
    """An HTTP server that remembers what arrived."""

    port: int
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """What a path returns; others return a greeting."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Where a path leads instead."""
    arrived: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None
    """Where set, nothing is answered until it is."""

    def rule(self, host: str = "listed.example", **fields: Any) -> dict[str, Any]:
        """An entry of an agent's list of hosts."""
        return {"host": host, "ports": [self.port], "schemes": ["http"], **fields}

    @property
    def policy(self) -> str:
        """What an operator writes so that this machine's own loopback can be reached."""
        return (
            f"egress:\n  private: ['127.0.0.1:{self.port}']\n"
            "  hosts: {listed.example: 127.0.0.1, other.example: 127.0.0.1}\n"
        )

    def url(self, path: str = "/", host: str = "listed.example") -> str:
        """The address of a path, by a name."""
        return f"http://{host}:{self.port}{path}"


def _handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            origin.paths.append(self.path)
            origin.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            origin.arrived.set()
            if origin.hold is not None:
                origin.hold.wait(60)
            body = origin.answers.get(self.path, b"hello")
            self.send_response(302 if self.path in origin.redirects else 200)
            if self.path in origin.redirects:
                self.send_header("Location", origin.redirects[self.path])
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed in the middle is part of some tests."""


@contextmanager
def served() -> Iterator[Origin]:
    """A server, until the end."""
    made = Origin(0)
    http = _Quiet(("127.0.0.1", 0), _handler(made))
    made.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        if made.hold is not None:
            made.hold.set()
        http.shutdown()
        thread.join()
        http.server_close()
