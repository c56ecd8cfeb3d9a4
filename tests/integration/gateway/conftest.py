"""A whole gateway with real containers, driven from plain synchronous tests."""

import asyncio
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import LedgerError
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.interface import Session
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.inference.messages import ToolCall
from trilemma.policy.capability import CapabilitySet
from trilemma.subagents.outcome import ToolOutcome


@dataclass
class Opened:
    """A session whose calls wait for their outcome."""

    session: Any
    """The gateway's own session, for what has no shorter way here."""

    def call(self, tool: str, **arguments: Any) -> ToolOutcome:
        """Make one call, in an event loop of its own: any thread may."""
        wanted = ToolCall("c", tool, json.dumps(arguments))
        outcome: ToolOutcome = asyncio.run(self.session.call_tool(wanted))
        return outcome

    def ok(self, tool: str, **arguments: Any) -> str:
        """Make a call that must succeed; what it returned."""
        outcome = self.call(tool, **arguments)
        assert outcome.ok, outcome.text
        return outcome.text

    @property
    def held(self) -> CapabilitySet:
        """What its domain holds."""
        state: CapabilitySet = self.session.state().held
        return state

    @property
    def upper(self) -> Path:
        """Where its layer keeps what it wrote."""
        place: Path = self.session.workspace.layer.upper
        return place

    def close(self) -> None:
        """End the session."""
        asyncio.run(self.session.close("done"))


@dataclass
class Gate:
    """A gateway under test."""

    gateway: LocalGateway
    folder: Path
    """A person's folder, to be opened as a workspace."""
    sabotaged: bool = False
    """True where the test broke the ledger's rules, so that it must not verify."""

    @property
    def ledger(self) -> Any:
        """Its ledger."""
        return self.gateway.enforcement.ledger

    def open(
        self,
        *tools: Any,
        grants: list[str] | None = None,
        workspace: Any = None,
        files: bool = False,
        brings: CapabilitySet = frozenset(),
        new_domain: bool = False,
        layer: str | None = None,
        approve: Any = None,
        **fields: Any,
    ) -> Opened:
        """Open a session of an agent with these tools; ``files`` gives it the folder."""
        data: dict[str, Any] = {"model": "gullible", "tools": list(tools), "grants": grants}
        if files or workspace is not None:
            data["workspace"] = workspace or {"path": str(self.folder), "origin": "own"}
        spec = read_agent(data | fields, origin="test", base=self.folder.parent)
        session: Session = asyncio.run(
            self.gateway.open(
                spec, brings=brings, new_domain=new_domain, layer=layer, approve=approve
            )
        )
        return Opened(session)

    def events(self, *kinds: Kind) -> list[Recorded]:
        """Everything recorded of these kinds."""
        return [r for r in self.ledger.events() if r.event.kind in kinds]

    def close(self) -> None:
        """End the gateway."""
        asyncio.run(self.gateway.close())


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


@pytest.fixture
def origin() -> Iterator[Callable[[], Origin]]:
    """Makes servers on this machine's loopback."""
    servers: list[tuple[Origin, _Quiet, threading.Thread]] = []

    def make() -> Origin:
        made = Origin(0)
        http = _Quiet(("127.0.0.1", 0), _handler(made))
        made.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((made, http, thread))
        return made

    yield make
    for made, http, thread in servers:
        if made.hold is not None:
            made.hold.set()
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def runtime_root() -> Iterator[Path]:
    """Where gateways keep their sockets: a short path. Nothing may be left in it."""
    root = Path(tempfile.mkdtemp(prefix="tg", dir="/run"))
    yield root
    left = sorted(root.iterdir())
    assert not left
    shutil.rmtree(root)


@pytest.fixture
def settings(tmp_path: Path, runtime_root: Path, base_image: str, code_image: str) -> Settings:
    """Settings under which a gateway shares nothing with another test."""
    return Settings(
        state=tmp_path / "state",
        config=tmp_path / "config",
        cache=tmp_path / "cache",
        runtime=runtime_root,
        durability="normal",
        warm=0,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person's folder with a secret in it."""
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("canary-4711\nsecond line\n")
    (folder / "sub" / "b.txt").write_text("deep\n")
    return folder


@pytest.fixture
def gate(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Gate]]:
    """Makes gateways. At the end each is closed and its ledger verifies."""
    monkeypatch.delenv("TRILEMMA_HOME", raising=False)
    made: list[Gate] = []

    def make(policy: str = "", **changes: Any) -> Gate:
        if policy:
            settings.config.mkdir(exist_ok=True)
            settings.policy.write_text("version: 1\n" + policy)
        gateway = LocalGateway.start(settings)
        made.append(Gate(gateway, folder))
        return made[-1]

    yield make
    for gate in made:
        gate.close()
    if any(gate.sabotaged for gate in made):
        with pytest.raises(LedgerError):
            verify(settings.ledger)
    elif made:
        verify(settings.ledger)
