"""The sub-agents of one session: every task that is handed on goes through here."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from trilemma.errors import Cancelled, Denied, LedgerError, SpecError, TrilemmaError

from ...inference.messages import ToolCall, Usage
from ...subagents.crossing.scalars import Free
from ...subagents.events import Event, SubagentEvent
from ...subagents.loop import run
from ...subagents.outcome import Outcome, ToolOutcome
from ...subagents.prompt import SharedPrefix
from ..approvals import Approvals
from ..crossings import Crossings, Ends
from ..enforcement import Enforcement, new_id
from ..interface import ChildOutcome, Delegation, OnEvent
from ..lasting import in_thread, to_its_end
from ..ledger.events import Event as LedgerEvent, Kind
from ..runs.log import Keeping
from ..teamspec import AttenuatedSpec, ChildSpec, MediatedSpec
from ..telling import opened
from .attenuated import AttenuatedRoute
from .desk import Desk
from .mediated import MediatedRoute
from .offers import TASK, only_argument, text_task
from .racing import first_that_ends_well
from .route import Answer, Openers, Route
from .running import Running
from .standing import Standing

if TYPE_CHECKING:
    from ..session import LocalSession


@dataclass(slots=True)
class _Errand:
    """One delegation while it lasts."""

    route: Route
    call: str
    session: str = field(default_factory=partial(new_id, "ses"))
    running: Running = field(default_factory=Running)
    child: "LocalSession | None" = None
    task: str = ""
    """As the sub-agent's model reads it."""
    outcome: Outcome | None = None


class Delegations:
    """Hands tasks to the sub-agents of one session. Safe to use from several threads."""

    def __init__(
        self,
        standing: Standing,
        enforcement: Enforcement,
        crossings: Crossings,
        openers: Openers,
        keeping: Keeping,
        workers: Executor,
    ) -> None:
        self._standing = standing
        self._children = standing.children
        self._enforcement = enforcement
        self._crossings = crossings
        self._openers = openers
        self._keeping = keeping
        self._approvals = Approvals(enforcement, standing.actor, standing.approve)
        self._desk = Desk(standing, enforcement, self._approvals)
        self._workers = workers

    def __contains__(self, name: str) -> bool:
        """Whether a tool of that name is a sub-agent."""
        return name in self._children

    async def call(self, call: ToolCall, name: str) -> ToolOutcome:
        """The model calls a sub-agent as a tool; ``name`` is the call's in the ledger.

        Raises:
            LedgerError, Cancelled: as :meth:`delegate`.
        """
        child = self._children[call.name]
        try:
            route = self._route(Delegation(child.agent, only_argument(call, TASK)))
            done = await self._hand_on(_Errand(route, name), self._standing.position.watcher)
        except Denied as denial:
            reasons = denial.reasons
            text, call_id = str(denial), denial.call or name
            return ToolOutcome(text, ok=False, denied=True, reasons=reasons, call_id=call_id)
        except SpecError as error:
            return ToolOutcome(f"The call was not made: {error}", ok=False, call_id=name)
        return ToolOutcome(
            done.text,
            ok=done.ok,
            call_id=name,
            labels=done.labels,
            held=done.labels,
            final=child.handoff and done.ok,
        )

    async def delegate(self, order: Delegation, on_event: OnEvent | None) -> ChildOutcome:
        """See :meth:`~trilemma.gateway.interface.Session.delegate`."""
        return await self._hand_on(_Errand(self._route(order), new_id("call")), on_event)

    async def race(self, orders: Sequence[Delegation], on_event: OnEvent | None) -> ChildOutcome:
        """See :meth:`~trilemma.gateway.interface.Session.race`."""
        errands = [_Errand(self._route(order), new_id("call")) for order in orders]
        first = await first_that_ends_well([self._hand_on(e, on_event) for e in errands])
        if any(isinstance(each.route.spec, MediatedSpec) for each in errands):
            # Which of them was first says something about those in other domains.
            here = self._standing
            seen = (e.child.standing.workspaces for e in errands if e.child is not None)
            ends = Ends(here.actor, here.actor.session, here.workspaces.union(*seen))
            choice = partial(self._crossings.pass_choice, ends, first.index, len(errands))
            await to_its_end(in_thread(choice))
        return first.outcome

    def shared(self, orders: Sequence[Delegation]) -> tuple[SharedPrefix, int]:
        """What the prompts of most of these begin with, and of how many."""
        contexts = Counter(order.context for order in orders if self._shares(order.agent))
        context, siblings = max(contexts.items(), key=itemgetter(1), default=("", 0))
        return self._standing.prefix.with_context(context), siblings

    def _shares(self, agent: str | ChildSpec) -> bool:
        """Whether it runs on the same model, and is shown the same tools."""
        spec = self._children.get(agent) if isinstance(agent, str) else agent
        if not isinstance(spec, AttenuatedSpec) or spec.agents:
            return False
        return spec.model in (None, self._standing.spec.model)

    def close(self) -> None:
        """The session ends: its sub-agents do first, and it calls no more. Blocking."""
        self._approvals.close()
        self._standing.position.node.close_blocking()

    def _route(self, order: Delegation) -> Route:
        here, spec = self._standing, self._spec(order.agent)
        if isinstance(spec, AttenuatedSpec):
            task = text_task(order.task)
            return AttenuatedRoute(here, spec, task, order.context, order.brings, self._openers)
        if order.context:
            raise SpecError(f"{spec.agent!r} is mediated and told its task alone, no context")
        task = spec.asks.read(text_task(order.task) if isinstance(spec.asks, Free) else order.task)
        mediated = sum(isinstance(each, MediatedSpec) for each in self._children.values())
        return MediatedRoute(
            here, spec, task, order.brings, max(1, mediated), self._crossings, self._openers
        )

    def _spec(self, agent: str | ChildSpec) -> ChildSpec:
        if not isinstance(agent, str):
            return agent
        if agent not in self._children:
            known = ", ".join(sorted(self._children)) or "none"
            raise SpecError(f"{agent!r} is not one of this agent's sub-agents, which are: {known}")
        return self._children[agent]

    async def _hand_on(self, errand: _Errand, on_event: OnEvent | None) -> ChildOutcome:
        watcher = partial(_tell, on_event)
        try:
            early = await self._begun(errand, watcher)
            if early is not None:
                answer = early
            else:
                errand.outcome = await self._work(errand, watcher)
                answer = await to_its_end(in_thread(self._finish, errand))
            return await to_its_end(in_thread(self._settle, errand, answer))
        except Denied as denial:
            body = {"ok": False, "stop": "refused", "reasons": list(denial.reasons)}
            await to_its_end(in_thread(errand.running.settle, str(denial), body))
            raise
        finally:
            await to_its_end(in_thread(errand.running.give_up, "cancelled"))

    async def _begun(self, errand: _Errand, watcher: OnEvent) -> Answer | None:
        """As :meth:`_begin`, in a thread that may wait for a person."""
        loop = asyncio.get_running_loop()
        try:
            beginning = loop.run_in_executor(self._workers, self._begin, errand, watcher)
        except RuntimeError:  # The threads have been sent home.
            raise Cancelled("the gateway is closed") from None
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._approvals.withdraw(errand.call)
            with suppress(Exception):
                await to_its_end(beginning)
            raise

    def _begin(self, errand: _Errand, watcher: OnEvent) -> Answer | None:
        """Decide it, open the sub-agent, let the task cross. An answer where it cannot begin."""
        route, running = errand.route, errand.running
        position, made = self._desk.admit(route, errand.call, errand.session, running, watcher)
        running.reserved(partial(self._record, errand))
        facts = made.request.delegation
        assert facts is not None
        try:
            opening = partial(route.open, errand.session, position, facts.down)
            errand.child = running.begin(opening)
        except (LedgerError, Cancelled):
            raise
        except TrilemmaError as error:
            return route.failed(None, error)
        errand.task = route.send(errand.child)
        return None

    async def _work(self, errand: _Errand, watcher: OnEvent) -> Outcome:
        """Run the sub-agent's loop, here, to its end."""
        child, route = errand.child, errand.route
        assert child is not None
        depth, caller = child.standing.position.lineage.depth, self._standing.actor.session

        def emit(event: Event) -> None:
            watcher(SubagentEvent(route.spec.agent, child.id, caller, depth, event))

        emit(opened(child))
        working = asyncio.ensure_future(
            run(
                errand.task,
                layout=route.layout(child),
                call_model=child.call_model,
                call_tool=route.tools(child),
                seconds=child.purse.remaining().seconds,
                context_tokens=child.spec.limits.context_tokens,
                emit=emit,
            )
        )
        try:
            outcome = await asyncio.shield(working)
        except asyncio.CancelledError:
            working.cancel()
            await to_its_end(working)
            raise
        if isinstance(outcome.error, LedgerError):
            raise outcome.error
        return outcome

    def _finish(self, errand: _Errand) -> Answer:
        """It ends before its answer goes on."""
        assert errand.child is not None
        assert errand.outcome is not None
        errand.running.end(errand.outcome.stop)
        return errand.route.receive(errand.child, errand.outcome)

    def _settle(self, errand: _Errand, answer: Answer) -> ChildOutcome:
        used = errand.child.purse.spent.usage if errand.child else Usage()
        body = {
            "ok": answer.ok,
            "stop": answer.stop,
            "steps": errand.outcome.steps if errand.outcome else 0,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
        }
        errand.running.settle(answer.text, body)
        return ChildOutcome(
            agent=errand.route.spec.agent,
            ok=answer.ok,
            stop=answer.stop,
            text=answer.text,
            value=answer.value,
            labels=self._enforcement.ledger.held(self._standing.actor.domain).capabilities,
            usage=used,
            session=errand.child.id if errand.child else "",
            call=errand.call,
        )

    def _record(self, errand: _Errand, text: str, body: dict[str, Any]) -> None:
        def settle(also: Sequence[LedgerEvent]) -> None:
            what = errand.route.spec.agent
            actor, kind = self._standing.actor, Kind.CALL_COMMITTED
            self._enforcement.settle(actor, kind, errand.call, what, body, also)

        self._keeping.returned(errand.call, text, settle)


def _tell(on_event: OnEvent | None, event: Event) -> None:
    if on_event is not None:
        on_event(event)
