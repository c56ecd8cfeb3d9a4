"""One task on its way: decided, begun, worked on, answered, recorded."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from trilemma.errors import Cancelled, Denied, LedgerError, TrilemmaError

from ...inference.messages import Usage
from ...subagents.events import Event, SubagentEvent
from ...subagents.loop import run
from ...subagents.outcome import Outcome
from ..approvals import Approvals
from ..enforcement import Enforcement, new_id
from ..interface import ChildOutcome, OnEvent
from ..lasting import in_thread, to_its_end
from ..ledger.events import Event as LedgerEvent, Kind
from ..runs.log import Keeping
from ..telling import opened
from .desk import Desk
from .route import Answer, Route
from .running import Running
from .standing import Standing

if TYPE_CHECKING:
    from ..session import LocalSession


@dataclass(slots=True)
class Errand:
    """One delegation while it lasts."""

    route: Route
    call: str
    session: str = field(default_factory=partial(new_id, "ses"))
    running: Running = field(default_factory=Running)
    child: "LocalSession | None" = None
    task: str = ""
    """As the sub-agent's model reads it."""
    outcome: Outcome | None = None


class Handing:
    """Hands the tasks of one session on. Safe to use from several threads."""

    def __init__(
        self,
        standing: Standing,
        enforcement: Enforcement,
        keeping: Keeping,
        approvals: Approvals,
        workers: Executor,
    ) -> None:
        """``workers`` are threads that may wait for a person."""
        self._standing = standing
        self._enforcement = enforcement
        self._keeping = keeping
        self._approvals = approvals
        self._desk = Desk(standing, enforcement, approvals)
        self._workers = workers

    async def hand_on(self, errand: Errand, on_event: OnEvent | None) -> ChildOutcome:
        """Hand one task on, and wait for its answer.

        Raises:
            Denied: it was refused; nothing ran.
            LedgerError: it cannot be recorded; nothing more may run.
            Cancelled: the session has ended.
        """
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

    async def _begun(self, errand: Errand, watcher: OnEvent) -> Answer | None:
        """As :meth:`begin`, in a thread that may wait for a person."""
        loop = asyncio.get_running_loop()
        try:
            beginning = loop.run_in_executor(self._workers, self.begin, errand, watcher)
        except RuntimeError:  # The threads have been sent home.
            raise Cancelled("the gateway is closed") from None
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._approvals.withdraw(errand.call)
            with suppress(Exception):
                await to_its_end(beginning)
            raise

    def begin(self, errand: Errand, watcher: OnEvent) -> Answer | None:
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

    async def _work(self, errand: Errand, watcher: OnEvent) -> Outcome:
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

    def _finish(self, errand: Errand) -> Answer:
        """It ends before its answer goes on."""
        assert errand.child is not None
        assert errand.outcome is not None
        errand.running.end(errand.outcome.stop)
        return errand.route.receive(errand.child, errand.outcome)

    def _settle(self, errand: Errand, answer: Answer) -> ChildOutcome:
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

    def _record(self, errand: Errand, text: str, body: dict[str, Any]) -> None:
        def settle(also: Sequence[LedgerEvent]) -> None:
            what = errand.route.spec.agent
            actor, kind = self._standing.actor, Kind.CALL_COMMITTED
            self._enforcement.settle(actor, kind, errand.call, what, body, also)

        self._keeping.returned(errand.call, text, settle)


def _tell(on_event: OnEvent | None, event: Event) -> None:
    if on_event is not None:
        on_event(event)
