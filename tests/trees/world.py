"""A gateway with sandboxes in memory: the ledger, policy, delegation and workspaces are real."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tests.trees.machinery import Killed, MemoryMachinery, MemoryPool, MemoryViews
from tests.trees.oracle import Oracle
from tests.trees.puppet import NUMBER, Puppet, call, program

from trilemma.errors import Cancelled, Denied, LedgerError, SpecError, WorkspaceError
from trilemma.gateway.enforcement import Actor
from trilemma.gateway.interface import ChildOutcome, Delegation
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.schemas import AgentSpec
from trilemma.gateway.session import LocalSession
from trilemma.gateway.settings import Settings
from trilemma.gateway.teamspec import ChildSpec
from trilemma.gateway.workspaces.registry import Workspaces
from trilemma.gateway.workspaces.snapshots import Snapshots
from trilemma.policy.capability import ALL, CapabilitySet

BITS = 40
"""What may ever cross as values of types: little, so that a path beyond it is short."""
_FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""In memory where that is: many small worlds are made, and each waits for its disk."""
FOLDERS = ("work", "mail", "desk")
_NEVER = (Denied, SpecError, WorkspaceError, Cancelled)

BY_CAPABILITY = frozenset({"third_capability", "outside_grants", "delegation_third"})
"""Reasons of what would have brought too much together."""

T = TypeVar("T")


class World:
    """Everything there is. What the caller of a session reads, the session's domain has read."""

    now: "ClassVar[World]"
    """The one that there is at the moment."""

    def __init__(self, deeds: Counter[str]) -> None:
        """``deeds``: counts what was really done in it."""
        World.now = self
        self.deeds = deeds
        self._place = tempfile.TemporaryDirectory(prefix="trilemma-")
        self._state = tempfile.TemporaryDirectory(prefix="trilemma-", dir=_FAST)
        self.root = Path(self._place.name)
        for name in FOLDERS:
            (self.root / name).mkdir()
        self.oracle = Oracle(BITS)
        self.views = MemoryViews()
        self.said: dict[str, str] = {}
        """By session: all that its caller has read of it."""
        self.results: list[tuple[str, CapabilitySet]] = []
        """Texts that left a session, each with the labels that the gateway gave it."""
        self.layers: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(16))
        self._domains: dict[str, str] = {}
        self._of_session: dict[str, str] = {}
        self.gateway = self._started()

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        """Wait for it."""
        return self._loop.run_until_complete(act)

    def puppet(self, name: str) -> Puppet:
        """The model behind every name."""
        return Puppet(self._heard)

    async def open(
        self, spec: AgentSpec, brings: tuple[str, CapabilitySet] | None, layer: str | None
    ) -> LocalSession | None:
        """Open a session in a domain of its own, with an earlier result in its task."""
        text, labels = brings or ("", frozenset())
        try:
            session = await self.gateway.open(spec, brings=labels, new_domain=True, layer=layer)
        except _NEVER:
            return None
        self.reads(session, text, "is given an earlier result")
        if session.layer:
            self.layers.append(session.layer)
        if spec.workspace is not None:
            self.deeds[f"a folder was opened: {spec.workspace.mode}"] += 1
        return session

    async def tool(self, session: LocalSession, name: str) -> None:
        """Call a tool, with all in it that the session's caller has read."""
        offered = next((tool for tool in session.tools if tool.name == name), None)
        wanted = call(name, offered, self.said.get(session.id, ""))
        try:
            outcome = await session.call_tool(wanted)
        except _NEVER:
            return
        self.reads(session, outcome.text, f"reads what {name} returned")

    async def delegate(
        self,
        session: LocalSession,
        child: str | ChildSpec,
        steps: Sequence[str],
        brings: tuple[str, CapabilitySet] | None,
    ) -> None:
        """Hand a task on, with all in it that the session's caller has read."""
        order = self._order(session, child, steps, brings)
        try:
            outcome = await session.delegate(order)
        except _NEVER:
            return
        self._came(session, outcome, self._spec(session, order.agent))

    async def race(
        self, session: LocalSession, runners: Sequence[tuple[str, Sequence[str]]]
    ) -> None:
        """Hand a task to several; the caller reads what the first says, and that it was first."""
        orders = [self._order(session, child, steps, None) for child, steps in runners]
        try:
            outcome = await session.race(orders)
        except _NEVER:
            return
        if outcome.ok:
            self.deeds["a race was won"] += 1
        won = next(order.agent for order in orders if order.agent == outcome.agent)
        self._came(session, outcome, self._spec(session, won))

    def _order(
        self,
        session: LocalSession,
        child: str | ChildSpec,
        steps: Sequence[str],
        brings: tuple[str, CapabilitySet] | None,
    ) -> Delegation:
        text, labels = brings or ("", frozenset())
        said = f"{self.said.get(session.id, '')} {text}"
        task: Any = f"{said} {program(steps)}"
        if _typed(self._spec(session, child)):
            task = NUMBER
        return Delegation(child, task, brings=labels)

    @staticmethod
    def _spec(session: LocalSession, child: str | ChildSpec) -> ChildSpec:
        return session.standing.children[child] if isinstance(child, str) else child

    def reads(self, session: LocalSession, text: str, words: str) -> None:
        """The session's caller has read it; the labels are what a caller hands on with it."""
        if text:
            self.said[session.id] = f"{self.said.get(session.id, '')} {text}"
            self.oracle.arrives(session.domain, text, words)
            self.results.append((text, session.state().held))

    async def take(self, session: LocalSession, result: tuple[str, CapabilitySet]) -> None:
        """Tell a running session an earlier result."""
        text, labels = result
        try:
            await session.take(labels)
        except _NEVER:
            return
        self.reads(session, text, "is told an earlier result")

    def crash(self, act: Coroutine[Any, Any, None]) -> None:
        """The gateway dies under a call, and another starts on what it left."""
        dead = self.gateway
        self.pool.deadly = partial(self._kill, dead)
        with suppress(Killed, LedgerError):
            self.do(act)
        self._kill(dead)
        dead.abandon()
        dead._alarm.close()
        dead._workers.shutdown(wait=True)
        dead.enforcement.ledger._handle._trouble = ""
        dead.enforcement.ledger.close()
        self.gateway = self._started()
        ledger = self.gateway.enforcement.ledger
        if any(ledger.events(kind=Kind.CALL_UNKNOWN)):
            self.deeds["a crash was recovered"] += 1

    def pair(self, domain: str) -> CapabilitySet:
        """What the first session of a domain was granted."""
        self._look()
        return self._grants.get(domain, ALL)

    @property
    def refused_for(self) -> set[str]:
        """The reasons of everything that the gateway refused."""
        bodies = [recorded.event.body for recorded in self.gateway.enforcement.ledger.events()]
        return {r for body in bodies for r in body.get("decision", body).get("reasons", ())}

    def end(self, *, sound: bool = True) -> None:
        """Close all, and check the ledger if it should be ``sound``."""
        try:
            self._tell()
            self.gateway.end()
            self.do(self._loop.shutdown_default_executor())
            self._loop.close()
            if sound:
                verify(Path(self._state.name) / "ledger.db")
        finally:
            self._place.cleanup()
            self._state.cleanup()

    def _started(self) -> LocalGateway:
        self._grants: dict[str, CapabilitySet] = {}
        self._domains.clear()
        self._seen = 0
        config = self.root / "config"
        config.mkdir(exist_ok=True)
        (config / "policy.yaml").write_text(f"version: 1\ncrossings: {{bits: {BITS}}}\n")
        state, run = Path(self._state.name), self.root / "run"
        settings = Settings(state, config, self.root / "cache", run, durability="normal")
        gateway = LocalGateway.start(settings)
        self.pool = MemoryPool(self.oracle, self.views)
        ledger = gateway.enforcement.ledger
        snapshots = Snapshots(settings.snapshots, "memory", 2**20)
        workspaces = Workspaces(ledger, settings.layers, self.views, snapshots=snapshots)
        machinery: Any = MemoryMachinery.on(run, self.pool, workspaces)
        gateway._machinery = machinery
        return gateway

    def _tell(self) -> None:
        """Count what only the end shows."""
        self.deeds["a call was denied"] += len(
            list(self.gateway.enforcement.ledger.events(kind=Kind.CALL_DENIED))
        )
        twos = [d for d in self.oracle.domains if len(self.oracle.held(d)) == 2]
        self.deeds["a domain held two"] += len(twos)

    @staticmethod
    def _kill(gateway: LocalGateway) -> None:
        """From here on nothing that it does is recorded."""
        gateway.enforcement.ledger._handle._trouble = "its process was killed"

    def _came(self, session: LocalSession, outcome: ChildOutcome, spec: ChildSpec) -> None:
        self._look()
        if outcome.ok:
            self.deeds[f"a delegation succeeded: {spec.mode}"] += 1
        child = self._of_session.get(outcome.session, "")
        if spec.mode == "mediated" and child:
            if _typed(spec):
                self.oracle.told(session.domain, child, 8)
            if not spec.answers.free and outcome.ok:
                self.oracle.told(child, session.domain, 8)
        self.reads(session, outcome.text, f"reads the answer of {outcome.agent}")

    def _heard(self, salt: str, text: str) -> None:
        self._look()
        self.oracle.arrives(self._domains[salt], text, "has it in a prompt")

    def _look(self) -> None:
        """Which domain has which salt: a sandbox is told the domain, a model the salt alone."""
        mint = self.gateway._shared.mint
        opened = self.gateway.enforcement.ledger.events(after=self._seen, kind=Kind.SESSION_OPENED)
        for found in list(opened):
            event = found.event
            salt = mint.mint(Actor(event.principal, event.domain, "", None)).cache_salt
            self._domains[salt] = event.domain
            self._of_session[event.session] = event.domain
            if event.body["mode"] != "attenuated" and event.body["grants"] is not None:
                self._grants[event.domain] = frozenset(
                    c for c in ALL if str(c) in event.body["grants"]
                )
            self._seen = max(self._seen, found.seq)


def _typed(spec: ChildSpec) -> bool:
    """Whether its task is a value of a type."""
    return spec.mode == "mediated" and not spec.asks.free
