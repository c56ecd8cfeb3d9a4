"""The sub-agents of one session: every task that is handed on goes through here."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from operator import itemgetter

from trilemma.errors import Denied, SpecError

from ...inference.messages import ToolCall
from ...subagents.crossing.scalars import Free
from ...subagents.outcome import ToolOutcome
from ...subagents.prompt import SharedPrefix
from ..approvals import Approvals
from ..crossings import Crossings, Ends
from ..enforcement import Enforcement, new_id
from ..interface import ChildOutcome, Delegation, OnEvent
from ..lasting import in_thread, to_its_end
from ..runs.log import Keeping
from ..teamspec import AttenuatedSpec, ChildSpec, MediatedSpec, mediated_within
from .attenuated import AttenuatedRoute
from .handing import Errand, Handing
from .mediated import MediatedRoute
from .offers import TASK, only_argument, text_task
from .racing import first_that_ends_well
from .route import Openers, Route
from .standing import Standing


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
        self._crossings = crossings
        self._openers = openers
        self._approvals = Approvals(enforcement, standing.actor, standing.approve)
        self._handing = Handing(standing, enforcement, keeping, self._approvals, workers)

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
            done = await self._handing.hand_on(Errand(route, name), self._standing.position.watcher)
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
        return await self._handing.hand_on(Errand(self._route(order), new_id("call")), on_event)

    async def race(self, orders: Sequence[Delegation], on_event: OnEvent | None) -> ChildOutcome:
        """See :meth:`~trilemma.gateway.interface.Session.race`."""
        errands = [Errand(self._route(order), new_id("call")) for order in orders]
        first = await first_that_ends_well([self._handing.hand_on(e, on_event) for e in errands])
        if any(isinstance(each.route.spec, MediatedSpec) for each in errands):
            # Which of them it was says something about those in other domains, refused or not.
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
        self._standing.position.node.close()

    def _route(self, order: Delegation) -> Route:
        here, spec = self._standing, self._spec(order.agent)
        if isinstance(spec, AttenuatedSpec):
            task = text_task(order.task)
            return AttenuatedRoute(here, spec, task, order.context, order.brings, self._openers)
        if spec.spec is None:
            raise SpecError(f"{spec.agent!r} names the file {spec.file!r}, which nobody has read")
        if order.context:
            raise SpecError(f"{spec.agent!r} is mediated and told its task alone, no context")
        task = spec.asks.read(text_task(order.task) if isinstance(spec.asks, Free) else order.task)
        # Whoever shares the domain may have been told which of theirs to ask.
        choices = max(1, here.choices, mediated_within(here.spec.agents))
        return MediatedRoute(
            here, spec, task, order.brings, choices, self._crossings, self._openers
        )

    def _spec(self, agent: str | ChildSpec) -> ChildSpec:
        if not isinstance(agent, str):
            return agent
        if agent not in self._children:
            known = ", ".join(sorted(self._children)) or "none"
            raise SpecError(f"{agent!r} is not one of this agent's sub-agents, which are: {known}")
        return self._children[agent]
