"""Every state that a team can reach under the gateway's own rules: whether the gate holds.

A state is what each running domain holds, and the label of each folder and of each layer. From
each, every act of every agent is tried: it begins, calls a tool or its model, hands a task on,
ends, and a person applies what it wrote. Each is decided by the decision point that a gateway has,
and becomes an event by the rules that the ledger applies to all events, so what is explored is the
code that runs, not a model of it.

Each agent runs once at a time, and with a new domain each time: more at once share nothing but
folders, whose labels only grow. That one domain keeps others out of a folder while it writes is
left out, so more states are explored than there are.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from trilemma.errors import LedgerError

from ...policy.capability import NONE, Capability, CapabilitySet
from ...policy.decide import DecisionPoint
from ...policy.operator import OperatorPolicy
from ...policy.request import (
    AccessRequest,
    Act,
    DelegationFacts,
    ToolFacts,
    WorkspaceFacts,
)
from ...policy.rule import LIMIT
from ..calls import needs_of
from ..delegation.mediated import carried_down, carried_up
from ..enforcement import Actor, request
from ..ledger.events import Event, Kind, Use
from ..ledger.fold import Held, Opened, WorkspaceState
from ..ledger.rules import check, complete
from ..ledger.store import taken_by
from ..models import model_needs
from ..schemas import AgentSpec
from ..teamspec import AttenuatedSpec, ChildSpec, MediatedSpec
from ..workspaces.opening import Origin
from .reading import folders_of, model_facts
from .toolneeds import Needed, tools_of

_PRINCIPAL = "anybody"
_LAYER = "layer of "
_IDENTITY = "sha256:" + "0" * 64
_FILES: CapabilitySet = frozenset({Capability.FILES})


@dataclass(frozen=True, slots=True)
class Explored:
    """What was seen."""

    states: int
    whole: bool
    """False where there are more states than were to be looked at."""
    refusals: frozenset[str]
    """Reason codes of all acts that were refused in some state."""
    third: str | None
    """A domain that held three, if there ever was one."""


@dataclass(frozen=True)
class _Role:
    """One agent with a domain of its own."""

    name: str
    spec: AgentSpec
    parent: "_Role | None"
    edge: MediatedSpec | None
    folder: str | None

    @property
    def written(self) -> str | None:
        """What it has open for writing: the folder, or a layer over it."""
        workspace = self.spec.workspace
        if workspace is None or workspace.mode == "snapshot":
            return None
        return self.folder if workspace.mode == "direct" else f"{_LAYER}{self.name}"

    @property
    def actor(self) -> Actor:
        """Who acts, as the gateway has it."""
        return Actor(_PRINCIPAL, self.name, self.name, self.spec.granted)


@dataclass(frozen=True)
class State:
    """What is so at one moment. See :class:`~trilemma.gateway.ledger.rules.Facts`."""

    running: frozenset[tuple[str, CapabilitySet]] = frozenset()
    labels: frozenset[tuple[str, CapabilitySet]] = frozenset()
    opened: frozenset[Opened] = frozenset()

    def held(self, domain: str) -> Held:
        """What the domain holds, and has open."""
        mine = frozenset(o for o in self.opened if o.domain == domain)
        return Held(dict(self.running).get(domain, NONE), opened=mine)

    def workspace(self, name: str) -> WorkspaceState | None:
        """The label of a folder or a layer."""
        return WorkspaceState(dict(self.labels).get(name, NONE))

    def spent(self, account: str) -> int:
        """Nothing that is counted is explored."""
        return 0

    def stages(self, call: str) -> frozenset[Kind]:
        """Every call is a new one."""
        return frozenset()

    def session_stages(self, session: str) -> frozenset[Kind]:
        """It is open."""
        return frozenset({Kind.SESSION_OPENED})

    def after(self, event: Event) -> "State":
        """The state once the event stands in the ledger."""
        running = dict(self.running)
        running[event.domain] = running.get(event.domain, NONE) | event.takes
        labels = dict(self.labels)
        for name, label in event.joins.items():
            labels[name] = labels.get(name, NONE) | label
        opened = self.opened | {
            Opened(name, event.domain, event.session, use) for name, use in event.opens.items()
        }
        return State(frozenset(running.items()), frozenset(labels.items()), opened)

    def without(self, domains: set[str]) -> "State":
        """The state when these have ended. What they wrote is left, and the next begins anew."""
        labels: dict[str, CapabilitySet] = {}
        for name, label in self.labels:
            kept = _left(name) if name.removeprefix(_LAYER) in domains else name
            labels[kept] = labels.get(kept, NONE) | label
        return State(
            frozenset(one for one in self.running if one[0] not in domains),
            frozenset(labels.items()),
            frozenset(o for o in self.opened if o.domain not in domains),
        )

    def labelled(self, name: str, label: CapabilitySet) -> "State":
        """The state when something was added to a label."""
        labels = dict(self.labels)
        labels[name] = labels.get(name, NONE) | label
        return replace(self, labels=frozenset(labels.items()))


def _left(layer: str) -> str:
    """What was left in layers of earlier sessions."""
    return f"left in {layer}"


Build = Callable[[Held], AccessRequest]
Explore = Callable[[State], "State | None"]


@dataclass
class _Gate:
    """Decides an act and records it, as a gateway and its ledger do."""

    point: DecisionPoint
    refusals: set[str] = field(default_factory=set)

    def take(
        self,
        state: State,
        actor: Actor,
        build: Build,
        opens: dict[str, Use] | None = None,
        joins: dict[str, CapabilitySet] | None = None,
    ) -> State | None:
        """The state after the act; None where it is refused."""
        held = state.held(actor.domain)
        asked = build(held)
        decision = self.point.decide(asked)
        if not decision.allowed:
            self.refusals.update(decision.reasons)
            return None
        event = Event(
            kind=Kind.WORKSPACE_OPENED if opens else Kind.CALL_RESERVED,
            domain=actor.domain,
            session=actor.session,
            call="call",
            takes=taken_by(asked, decision) - held.capabilities,
            opens=opens or {},
            joins=joins or {},
        )
        try:
            event = complete(event, state)
            check(event, state)
        except LedgerError as error:
            # Decided otherwise than the ledger's own rules allow: only a broken policy does that.
            self.refusals.add(f"ledger: {error}")
            return None
        return state.after(event)


def explore(
    roots: Iterable[AgentSpec],
    policy: OperatorPolicy,
    point: DecisionPoint,
    most: int = 5000,
) -> Explored:
    """Look at every state that can be reached, one after another, up to ``most``.

    Raises:
        SpecError: there is no such model or tool, or a tool file cannot be read.
    """
    roots = list(roots)
    team = _Team(policy, _Gate(point), folders_of(roots))
    for spec in roots:
        team.add(spec, spec.name)
    start = State(labels=frozenset(team.labels.items()))
    seen, waiting = {start}, deque([start])
    while waiting:
        state = waiting.popleft()
        for domain, held in state.running:
            if len(held) > LIMIT:
                return Explored(len(seen), False, frozenset(team.gate.refusals), domain)
        for further in team.further(state):
            if further not in seen:
                if len(seen) >= most:
                    return Explored(len(seen), False, frozenset(team.gate.refusals), None)
                seen.add(further)
                waiting.append(further)
    return Explored(len(seen), True, frozenset(team.gate.refusals), None)


@dataclass
class _Team:
    policy: OperatorPolicy
    gate: _Gate
    folders: dict[str, str]
    """By the path that an agent names: the folder that it is a part of."""
    roles: list[_Role] = field(default_factory=list)
    acts: dict[str, list[Explore]] = field(default_factory=dict)
    labels: dict[str, CapabilitySet] = field(default_factory=dict)

    def add(
        self,
        spec: AgentSpec,
        name: str,
        parent: _Role | None = None,
        edge: MediatedSpec | None = None,
    ) -> None:
        """An agent with a domain of its own, and all below it."""
        workspace = spec.workspace
        folder = None if workspace is None else self.folders[str(spec.base / workspace.path)]
        role = _Role(name, spec, parent, edge, folder)
        self.roles.append(role)
        if folder is not None and workspace is not None:
            origin = Origin(workspace.origin or Origin.OWN)
            self.labels[folder] = self.labels.get(folder, NONE) | origin.label
        self.acts[name] = [*self._tools(role), self._model(role.actor, spec.model)]
        self._below(role, spec.agents, spec.model, role.actor)

    def further(self, state: State) -> Iterator[State]:
        """Every state that one act leads to."""
        running = {domain for domain, _ in state.running}
        for role in self.roles:
            if role.name in running:
                yield state.without({d for d in running if f"{d}/".startswith(f"{role.name}/")})
                for act in self.acts[role.name]:
                    if (after := act(state)) is not None:
                        yield after
            elif role.parent is None or role.parent.name in running:
                yield from self._begun(role, state)
            if role.written is not None and role.written != role.folder:
                assert role.folder is not None
                # A person applies what is in the layer.
                labels = dict(state.labels)
                for layer in (role.written, _left(role.written)):
                    yield state.labelled(role.folder, labels.get(layer, NONE))

    def _begun(self, role: _Role, state: State) -> Iterator[State]:
        """It begins: the task that is handed on, what it carries, the folder."""
        if role.edge is not None:
            assert role.parent is not None
            parent = role.parent.actor
            down = carried_down(
                role.edge, state.held(parent.domain).capabilities, role.parent.spec.granted
            )
            handed = self.gate.take(state, parent, partial(_hands, role, down))
            if handed is None:
                return
            # Its answer's label is in its parent's domain from here on, whatever becomes of it.
            yield handed
            state = handed
            if down:
                taken = self.gate.take(state, role.actor, partial(_brings, role, down))
                if taken is None:
                    return
                state = taken
        if role.folder is None:
            yield state.after(Event(kind=Kind.SESSION_OPENED, domain=role.name, session=role.name))
            return
        label = dict(state.labels).get(role.folder, NONE)
        written = role.written
        opens = {role.folder: Use.READ} | ({written: Use.WRITE} if written is not None else {})
        joins = {written: role.spec.granted or NONE} if written is not None else {}
        opened = self.gate.take(state, role.actor, partial(_opens, role, label), opens, joins)
        if opened is not None:
            yield opened

    def _tools(self, role: _Role) -> Iterator[Explore]:
        granted = role.spec.granted
        for tool in tools_of(role.spec):
            if granted is not None and not tool.needs <= granted:
                continue
            facts = ToolFacts(tool.name, _IDENTITY, declared=tool.declared)
            build = partial(_uses, role, tool, facts)
            yield partial(self._act, role.actor, build)

    def _model(self, actor: Actor, model: str) -> Explore:
        facts = model_facts(model, self.policy)
        needs = model_needs(facts)

        def build(held: Held) -> AccessRequest:
            return request(actor, held, Act.MODEL, needs, model=facts)

        return partial(self._act, actor, build)

    def _below(
        self, role: _Role, children: tuple[ChildSpec, ...], model: str, parent: Actor
    ) -> None:
        for child in children:
            if isinstance(child, AttenuatedSpec):
                own = child.model or model
                share = parent.grants if child.granted is None else child.granted
                actor = replace(parent, grants=share, lender=parent)
                self.acts[role.name].append(self._model(actor, own))
                self._below(role, child.agents, own, actor)
            elif child.spec is not None:
                self.add(child.spec, f"{role.name}/{child.agent}", role, child)

    def _act(self, actor: Actor, build: Build, state: State) -> State | None:
        return self.gate.take(state, actor, build)


def _uses(role: _Role, tool: Needed, facts: ToolFacts, held: Held) -> AccessRequest:
    needs = needs_of(tool, held.capabilities, role.spec.granted)
    return request(role.actor, held, Act.TOOL, needs, tool=facts)


def _brings(role: _Role, label: CapabilitySet, held: Held) -> AccessRequest:
    facts = ToolFacts("task", _IDENTITY, declared=True)
    return request(role.actor, held, Act.TOOL, NONE, label=label, tool=facts)


def _hands(role: _Role, down: CapabilitySet, held: Held) -> AccessRequest:
    assert role.edge is not None
    assert role.parent is not None
    facts = DelegationFacts(
        agent=role.edge.agent,
        mode=role.edge.mode,
        grants=role.spec.granted,
        down=down,
        free=role.edge.asks.free or role.edge.answers.free,
    )
    label = carried_up(role.edge)
    actor = role.parent.actor
    return request(actor, held, Act.DELEGATION, NONE, label=label, delegation=facts)


def _opens(role: _Role, label: CapabilitySet, held: Held) -> AccessRequest:
    assert role.spec.workspace is not None
    facts = WorkspaceFacts(role.spec.workspace.mode, known=True)
    return request(role.actor, held, Act.WORKSPACE, _FILES, label=label, workspace=facts)
