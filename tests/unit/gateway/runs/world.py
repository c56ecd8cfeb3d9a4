"""Runs with a real ledger, policy and journal, without sandboxes, that die where a test says."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.budgets import first_purse
from trilemma.gateway.calls import Calls, call_id
from trilemma.gateway.enforcement import Actor, Enforcement, new_id
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.models import ModelCalls
from trilemma.gateway.runs import journal
from trilemma.gateway.runs.places import Runs
from trilemma.gateway.runs.starting import RunStart
from trilemma.gateway.schemas import AgentSpec
from trilemma.gateway.tools import ToolDefinition
from trilemma.inference.gullible import GullibleModel
from trilemma.inference.messages import CallIdentity, ToolCall
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import NONE
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.operator import OperatorPolicy
from trilemma.policy.regorus import RegorusEngine
from trilemma.sandbox.base import BuiltinEntry, CallResult
from trilemma.subagents.loop import run as loop
from trilemma.subagents.outcome import Outcome, ToolOutcome
from trilemma.subagents.prompt import Layout

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
COUNT = ToolDefinition("count", "Counts.", SCHEMA, NONE, BuiltinEntry("count"))
POINT = DecisionPoint(RegorusEngine(Bundle.base().with_operator(OperatorPolicy())))
ME = "user:me"


class Died(BaseException):
    """The process is killed here."""


@dataclass
class World:
    """A place on disk, and what tools did outside of it."""

    root: Path
    effects: list[int] = field(default_factory=list)
    """What an outside counter saw, one entry for each time that a call had its effect."""
    points: int = 0
    dies_at: int | None = None
    """The point at which the process is killed: a write, or an effect, before or after it."""
    outcome: Outcome | None = None
    """How the run ended, once it has."""

    def spec(self, **fields: Any) -> AgentSpec:
        """The agent."""
        return read_agent({"model": "gullible", **fields}, origin="test", base=self.root)

    def begin(self, task: str, **fields: Any) -> Outcome | None:
        """Begin a run; None where it died."""
        return self._process(task, lambda ledger: RunStart.new(self.runs, self.spec(**fields)))

    def resume(self, **fields: Any) -> Outcome | None:
        """Go on with the only run that there is."""
        run, spec = self.run, self.spec(**fields)
        return self._process("", lambda ledger: RunStart.again(self.runs, run, spec, ledger, ME))

    @property
    def run(self) -> str:
        """The run that there is."""
        (status,) = self.runs
        return status.run

    @property
    def place(self) -> Path:
        """Where it is kept."""
        return self.root / "runs" / self.run

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, as a process that begins finds it."""
        with Ledger.open(self.root / "ledger.db", durability="normal") as ledger:
            recover(ledger, lambda instance: False)
            yield ledger

    def passes(self) -> None:
        """One point where the process may be killed. After that it does nothing more."""
        if self.dies_at is not None and self.points >= self.dies_at:
            raise Died
        self.points += 1

    @property
    def runs(self) -> Runs:
        """Every run of this place."""
        return Runs(self.root / "runs")

    def _process(self, task: str, start: Callable[[Ledger], RunStart]) -> Outcome | None:
        with self.ledger() as ledger:
            begun = start(ledger)
            try:
                return asyncio.run(self._session(task, begun, _Mortal(ledger, self)))
            except Died:
                # Its locks go with a process.
                begun.place.release()
                return None

    async def _session(self, task: str, begun: RunStart, enforcement: Enforcement) -> Outcome:
        domain = begun.domain if begun.loaded else "dom"
        actor = Actor(ME, domain, new_id("ses"), begun.spec.granted)
        opened = Event(kind=Kind.SESSION_OPENED, body={"run": begun.run})
        enforcement.record(actor, opened)
        purse = first_purse(begun.spec, begun.progress)
        log = begun.log(
            actor.session,
            [COUNT.identity],
            None,
            lambda event: enforcement.record(actor, event),
            lambda: purse.spent,
        )
        identity = CallIdentity("s", "t", "", 0, "salt")
        models = ModelCalls(enforcement, actor, GullibleModel(), False, identity)
        calls = Calls(enforcement, actor, {"count": COUNT}, self._count, None, log)

        async def call_tool(call: ToolCall) -> ToolOutcome:
            return calls.call(call, log.name(call) or call_id())

        outcome = await loop(
            begun.progress or task,
            layout=Layout(),
            call_model=lambda messages, tools, on_text: models.call(
                messages, tools, on_text, purse, log
            ),
            call_tool=call_tool,
            seconds=None,
            context_tokens=begun.spec.limits.context_tokens,
            emit=lambda event: None,
        )
        enforcement.record(actor, Event(kind=Kind.SESSION_CLOSED))
        log.close(outcome.stop)
        return outcome

    def _count(self, tool: ToolDefinition, call: str, arguments: Any, given: Any) -> CallResult:
        self.passes()
        self.effects.append(arguments["n"])
        self.passes()
        return CallResult(value=f"counted {arguments['n']}")


class _Mortal(Enforcement):
    """Writes to the ledger as long as its process lives."""

    def __init__(self, ledger: Ledger, world: World) -> None:
        super().__init__(ledger, POINT)
        self._world = world

    def reserve(self, *args: Any) -> Any:
        self._world.passes()
        made = super().reserve(*args)
        self._world.passes()
        return made

    def record(self, *args: Any) -> None:
        self._world.passes()
        super().record(*args)
        self._world.passes()


def mortal_write(world: World) -> Callable[[int, bytes], None]:
    """Writes to a journal as long as the process lives; it may be killed in the middle."""
    real = journal._write

    def write(descriptor: int, data: bytes) -> None:
        world.passes()
        try:
            world.passes()
        except Died:
            real(descriptor, data[: len(data) // 2])
            raise
        real(descriptor, data)
        world.passes()

    return write


def counting(*numbers: int) -> str:
    """A task of calls, one after the other."""
    return "\n".join(f"CALL count {json.dumps({'n': n})}" for n in numbers)
