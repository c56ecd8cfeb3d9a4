"""A whole gateway with real containers, driven from plain synchronous tests."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.origin import Origin, served

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


@pytest.fixture
def origin() -> Iterator[Callable[[], Origin]]:
    """Makes servers on this machine's loopback."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(served())


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
