"""A task for a sub-agent in the same domain: nothing crosses, it only has less."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...policy.capability import CapabilitySet
from ...policy.request import DelegationFacts
from ...subagents.calls import CallTool
from ...subagents.outcome import Outcome, State
from ...subagents.prompt import Layout
from ..ledger.fold import Held
from ..narrowing import excesses
from ..specparts import RunLimitsSpec
from ..teamspec import AttenuatedSpec
from .route import Answer, Openers
from .standing import Position, Standing

if TYPE_CHECKING:
    from ..session import LocalSession


@dataclass(frozen=True)
class AttenuatedRoute:
    """See :class:`~trilemma.gateway.delegation.route.Route`."""

    parent: Standing
    spec: AttenuatedSpec
    task: str
    context: str
    label: CapabilitySet
    """The labels that the task brings: its answer brings none, it comes from the same domain."""
    openers: Openers

    @property
    def own_limits(self) -> RunLimitsSpec | None:
        """None: it draws on its parent's."""
        return None

    def facts(self, held: Held) -> DelegationFacts:
        """It is wider, or it is not."""
        fields = dict.fromkeys(excess.field for excess in excesses(self.spec, self.parent.share))
        return DelegationFacts(
            agent=self.spec.agent,
            mode=self.spec.mode,
            grants=self.parent.share.given(self.spec).grants,
            wider=tuple(fields),
        )

    def details(self) -> tuple[str, ...]:
        """In what it would have more."""
        return tuple(f"{e.field}: {e.text}" for e in excesses(self.spec, self.parent.share))

    def open(self, session: str, position: Position, brings: CapabilitySet) -> "LocalSession":
        """Its share of what its parent has; what the task brings is in their domain by then."""
        return self.openers.attenuated(self.parent, self.spec, session, position)

    def send(self, child: "LocalSession") -> str:
        """The task as it is."""
        return self.task

    def layout(self, child: "LocalSession") -> Layout:
        """What its siblings read comes first, then its own part.

        It is shown its parent's tools, and held to its own when it calls one.
        """
        shared = replace(child.standing.prefix, context=self.context)
        own = frozenset(self.spec.tools) | {each.agent for each in self.spec.agents}
        return Layout(shared, self.spec.instructions, own)

    def tools(self, child: "LocalSession") -> CallTool:
        """As any session does."""
        return child.call_tool

    def receive(self, child: "LocalSession", outcome: Outcome) -> Answer:
        """Its text, and why it ended early if it did: nothing is hidden within a domain."""
        stop = outcome.stop
        if outcome.state is State.DONE:
            return Answer(True, stop, outcome.text, outcome.text)
        said = f"\nIts last words:\n{outcome.text}" if outcome.text else ""
        # How much of a limit was used by whom may tell of mediated sub-agents.
        used_up = outcome.state is State.LIMIT
        why = "a limit, its own or of an agent above, is used up" if used_up else outcome.error
        text = f"{self.spec.agent} ended early ({stop}): {why}{said}"
        return Answer(False, stop, text, outcome.text)

    def failed(self, child: "LocalSession | None", error: Exception) -> Answer:
        """The error as it is."""
        return Answer(False, "failed", f"{self.spec.agent} could not begin: {error}", "")
