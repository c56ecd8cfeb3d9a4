"""A task for a sub-agent in a domain of its own: two values cross, of declared types."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trilemma.errors import CrossingError, Denied, SpecError

from ...inference.messages import ToolCall
from ...policy.capability import ALL, NONE, CapabilitySet
from ...policy.reasons import Reason
from ...policy.request import DelegationFacts
from ...subagents.calls import CallTool
from ...subagents.crossing.answers import answer_bits, ask_bits
from ...subagents.crossing.base import bits_for
from ...subagents.outcome import Outcome, State, ToolOutcome
from ...subagents.prompt import Layout, SharedPrefix
from ..crossings import Crossings, Ends
from ..ledger.fold import Held
from ..specparts import RunLimitsSpec
from ..teamspec import ANSWER, MediatedSpec
from .offers import answer_tool, as_text, only_argument
from .route import Answer, Openers
from .standing import Position, Standing

if TYPE_CHECKING:
    from ..session import LocalSession

NO_ANSWER, LIMIT, REFUSED = "no_answer", "limit", "refused"
"""All that its parent is ever told of why there is no answer."""

_TOLD = {
    NO_ANSWER: "{agent} gave no answer.",
    LIMIT: "{agent} used up its limit before it had an answer.",
    REFUSED: "{agent} was refused something that it needed to begin or to go on.",
}
_HOW = (
    "When you know the answer, call the tool 'answer' once: {answers}. Your work ends with it, and "
    "nothing else that you write is read."
)


@dataclass(slots=True)
class _Said:
    """The answer, once the sub-agent has given one that fits."""

    given: bool = False
    value: Any = None


@dataclass(frozen=True)
class MediatedRoute:
    """See :class:`~trilemma.gateway.delegation.route.Route`."""

    parent: Standing
    spec: MediatedSpec
    task: Any
    """In canonical form: it was read by the type."""
    brings: CapabilitySet
    choices: int
    """Among how many mediated sub-agents it was picked."""
    crossings: Crossings
    openers: Openers
    _said: _Said = field(default_factory=_Said)

    @property
    def own_limits(self) -> RunLimitsSpec | None:
        """Those that the agent itself stands with."""
        return None if self.spec.spec is None else self.spec.spec.limits

    @property
    def label(self) -> CapabilitySet:
        """Of an answer in free text: whatever its domain may ever hold."""
        return carried_up(self.spec)

    @property
    def _beside(self) -> int:
        """How many sub-agents it called shows in how many its parent may still call."""
        if self.spec.spec is None or not self.spec.spec.agents:
            return 0
        return bits_for(self.parent.position.node.tree.limits.total + 1)

    def facts(self, held: Held) -> DelegationFacts:
        """What crosses, and how much of it."""
        asks, answers = self.spec.asks, self.spec.answers
        bits = ask_bits(asks, self.choices) + answer_bits(answers, self._beside)
        left = self.crossings.left(Ends(self.parent.actor, "", self.parent.workspaces))
        return DelegationFacts(
            agent=self.spec.agent,
            mode=self.spec.mode,
            grants=self.spec.granted,
            down=self._down(held.capabilities),
            free=asks.free or answers.free,
            bits=bits,
            bits_left=left,
            over=(str(Reason.CROSSING_CAPACITY),) if bits > left else (),
        )

    def details(self) -> tuple[str, ...]:
        """Nothing can be wider: it has a domain of its own."""
        return ()

    def open(self, session: str, position: Position, brings: CapabilitySet) -> "LocalSession":
        """An agent of its own, in a domain of its own."""
        return self.openers.mediated(self.parent, self.spec, session, position, brings)

    def send(self, child: "LocalSession") -> str:
        """The ask crosses, and is charged, before anything runs."""
        ends = Ends(self.parent.actor, child.id, self._workspaces(child))
        crossed = self.crossings.pass_down(ends, self.spec.asks, self.task, choices=self.choices)
        return as_text(crossed.value, free=self.spec.asks.free)

    def layout(self, child: "LocalSession") -> Layout:
        """Its own, with the tool that ends it."""
        standing = child.standing
        tools = (*standing.prefix.tools, answer_tool(self.spec.answers))
        shared = SharedPrefix(standing.prefix.instructions, tools)
        return Layout(shared, _HOW.format(answers=self.spec.answers.describe()))

    def tools(self, child: "LocalSession") -> CallTool:
        """Its own, and ``answer``, which leads nowhere but here."""

        async def call_tool(call: ToolCall, /) -> ToolOutcome:
            if call.name != ANSWER:
                return await child.call_tool(call)
            return self._take(call)

        return call_tool

    def receive(self, child: "LocalSession", outcome: Outcome) -> Answer:
        """The answer crosses, or one of a closed list of failures does."""
        said = self._said
        if not said.given and self.spec.answers.free and outcome.state is State.DONE:
            said = _Said(True, outcome.text)
        if not said.given:
            return self._fail(child, _failure(outcome))
        try:
            crossed = self.crossings.pass_up(
                self._up(child), self.spec.answers, said.value, beside=self._beside
            )
        except CrossingError:
            return self._fail(child, NO_ANSWER)
        text = as_text(crossed.value, free=self.spec.answers.free)
        return Answer(True, "done", text, crossed.value)

    def failed(self, child: "LocalSession | None", error: Exception) -> Answer:
        """Why it could not begin stays on its side."""
        return self._fail(child, REFUSED)

    def _fail(self, child: "LocalSession | None", failure: str) -> Answer:
        up, answers = self._up(child), self.spec.answers
        self.crossings.fail_up(up, answers, failure, beside=self._beside)
        return Answer(False, failure, _TOLD[failure].format(agent=self.spec.agent), None)

    def _up(self, child: "LocalSession | None") -> Ends:
        sender = self.parent.actor if child is None else child.actor
        return Ends(sender, self.parent.actor.session, self._workspaces(child))

    def _workspaces(self, child: "LocalSession | None") -> frozenset[str]:
        own = frozenset() if child is None else child.standing.workspaces
        return self.parent.workspaces | own

    def _take(self, call: ToolCall) -> ToolOutcome:
        if self._said.given:
            return ToolOutcome("An answer was given already.", ok=False, final=True)
        try:
            self._said.value = self.spec.answers.read(only_argument(call, ANSWER))
        except SpecError as error:
            return ToolOutcome(f"That is no answer: {error}", ok=False)
        self._said.given = True
        return ToolOutcome("The answer was given.", final=True)

    def _down(self, held: CapabilitySet) -> CapabilitySet:
        """What an ask in free text carries: what its parent holds, or may yet take."""
        return carried_down(self.spec, held | self.brings, self.parent.actor.pair)


def carried_up(spec: MediatedSpec) -> CapabilitySet:
    """What an answer carries: nothing where it is typed, else whatever its domain may ever hold."""
    if not spec.answers.free:
        return NONE
    return ALL if spec.granted is None else spec.granted


def carried_down(
    spec: MediatedSpec, held: CapabilitySet, pair: CapabilitySet | None
) -> CapabilitySet:
    """What an ask carries: nothing where it is typed, else what its parent has or may yet take."""
    return held | (pair or NONE) if spec.asks.free else NONE


def _failure(outcome: Outcome) -> str:
    """The failure that its parent is told of."""
    if outcome.state is State.LIMIT:
        return LIMIT
    return REFUSED if isinstance(outcome.error, Denied) else NO_ANSWER
