"""Any sequence of what sessions can do, with the real ledger and policy: never three held."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from trilemma.errors import Denied, WorkspaceError
from trilemma.gateway.calls import Calls, call_id
from trilemma.gateway.destinations import Destinations
from trilemma.gateway.egress import DomainEgress, Exit
from trilemma.gateway.enforcement import Actor, Enforcement, new_id
from trilemma.gateway.identity import IdentityMint
from trilemma.gateway.inputs import take_labels
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import decision_point
from trilemma.gateway.models import ModelCalls
from trilemma.gateway.outgoing import Outgoing
from trilemma.gateway.tools import ToolDefinition
from trilemma.gateway.workspaces.opening import Mode, Opening, Origin
from trilemma.gateway.workspaces.registry import Workspaces
from trilemma.inference.messages import ToolCall
from trilemma.inference.model import ModelRef
from trilemma.policy.capability import ALL, NONE, Capability, CapabilitySet
from trilemma.policy.operator import Approval, OperatorPolicy
from trilemma.sandbox.base import BuiltinEntry, CallResult
from trilemma.sandbox.egress.request import EgressRequest
from trilemma.sandbox.views import ViewMaker
from trilemma.subagents.budget import Purse
from trilemma.subagents.limits import UNLIMITED

DOMAINS = ["d1", "d2"]
capability_sets = st.frozensets(st.sampled_from(sorted(ALL)))
pairs = st.none() | st.frozensets(st.sampled_from(sorted(ALL)), max_size=2)


def _tools() -> dict[str, ToolDefinition]:
    """One tool for each set of needs, one that declares none, one that takes its session's pair."""
    needs: Iterable[CapabilitySet] = (
        frozenset(c for n, c in enumerate(sorted(ALL)) if bits >> n & 1) for bits in range(8)
    )
    tools = {f"t{n}": _tool(f"t{n}", declared) for n, declared in enumerate(needs)}
    tools["undeclared"] = _tool("undeclared", None)
    tools["careful"] = _tool("careful", frozenset({Capability.CODE}))
    tools["shell"] = _tool("shell", frozenset({Capability.CODE}), grants=True)
    return tools


def _tool(name: str, declared: CapabilitySet | None, *, grants: bool = False) -> ToolDefinition:
    return ToolDefinition(name, "", {}, declared, BuiltinEntry(name), takes_grants=grants)


TOOLS = _tools()
POINT = decision_point(OperatorPolicy(approval=Approval(tools=("careful",))))


class Outside:
    """An outside model; it is never reached, for only the reservation is looked at."""

    ref = ModelRef("far/away", "far", inside=False)


class Sessions(RuleBasedStateMachine):
    """Sessions of two domains that do whatever they are allowed to."""

    sessions = Bundle("sessions")

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory(prefix="trilemma-")
        root = Path(self.place.name)
        self.ledger = Ledger.open(root / "ledger.db", durability="normal")
        self.enforcement = Enforcement(self.ledger, POINT)
        (root / "run").mkdir()
        self.workspaces = Workspaces(self.ledger, root / "layers", ViewMaker(root / "run"))
        self.folders = [root / name for name in ("own", "mail")]
        for folder in self.folders:
            folder.mkdir()
        self.used: dict[str, set[Capability]] = {domain: set() for domain in DOMAINS}
        self.opened: dict[str, list[Any]] = {}

    @rule(target=sessions, domain=st.sampled_from(DOMAINS), grants=pairs)
    def open_session(self, domain: str, grants: CapabilitySet | None) -> Actor:
        actor = Actor("user:me", domain, new_id("ses"), grants)
        self.enforcement.record(actor, Event(kind=Kind.SESSION_OPENED))
        return actor

    @rule(actor=sessions, tool=st.sampled_from(sorted(TOOLS)), yes=st.booleans())
    def call_tool(self, actor: Actor, tool: str, yes: bool) -> None:
        def run(_: object, __: str, ___: object, given: CapabilitySet) -> CallResult:
            self.use(actor, given)
            return CallResult("")

        calls = Calls(self.enforcement, actor, TOOLS, run, lambda _: yes)
        calls.call(ToolCall("c", tool, "{}"), call_id())

    @rule(actor=sessions, label=capability_sets)
    def bring(self, actor: Actor, label: CapabilitySet) -> None:
        try:
            take_labels(self.enforcement, actor, label)
        except Denied:
            return
        self.use(actor, label)

    @rule(
        actor=sessions,
        folder=st.integers(0, 1),
        origin=st.none() | st.sampled_from(Origin),
        mode=st.sampled_from(Mode),
    )
    def open_folder(self, actor: Actor, folder: int, origin: Origin | None, mode: Mode) -> None:
        opening = Opening(
            path=self.folders[folder],
            principal=actor.principal,
            domain=actor.domain,
            session=actor.session,
            grants=actor.grants,
            origin=origin,
            mode=mode,
        )
        try:
            opened = self.workspaces.open(opening, POINT.decide)
        except (Denied, WorkspaceError):
            return
        self.use(actor, frozenset({Capability.FILES}))
        self.opened.setdefault(actor.session, []).append(opened)

    @rule(actor=sessions)
    def call_outside_model(self, actor: Actor) -> None:
        identity = IdentityMint(b"secret").mint(actor)
        models = ModelCalls(self.enforcement, actor, Outside(), False, identity)  # type: ignore[arg-type]
        call = new_id("model")
        try:
            models._reserve(call)
        except Denied:
            return
        self.use(actor, models.needs)
        models._settle(call, {})

    @rule(actor=sessions, structured=st.booleans(), size=st.integers(0, 20_000))
    def leave(self, actor: Actor, structured: bool, size: int) -> None:
        egress = DomainEgress(self.enforcement, OperatorPolicy().egress)
        egress._exits["call"] = Exit(actor, Destinations(None, None), Outgoing(Purse(UNLIMITED)))
        wanted = EgressRequest(
            call="call",
            host="a.example",
            port=443,
            scheme="https",
            method="GET",
            bytes_out=size,
            structured=structured,
        )
        if egress._decide(wanted).allow:
            self.use(actor, frozenset({Capability.INTERNET}))

    @rule(target=sessions, actor=consumes(sessions))
    def close(self, actor: Actor) -> Any:
        for opened in self.opened.pop(actor.session, []):
            opened.close()
        self.enforcement.record(actor, Event(kind=Kind.SESSION_CLOSED))
        return multiple()

    def use(self, actor: Actor, capabilities: CapabilitySet) -> None:
        """Something really happened that takes these."""
        self.used[actor.domain] |= capabilities
        assert actor.grants is None or capabilities <= actor.grants

    @invariant()
    def never_three_and_never_less_than_used(self) -> None:
        for domain in DOMAINS:
            held = self.ledger.held(domain)
            assert len(held.capabilities) <= 2
            assert self.used[domain] <= held.capabilities
            assert {cause.capability for cause in held.cause} == set(held.capabilities)

    @invariant()
    def whatever_is_open_for_writing_carries_what_its_domain_used(self) -> None:
        for domain in DOMAINS:
            for name in self.ledger.held(domain).writing:
                assert self.used[domain] <= (self.ledger.label(name) or NONE)

    def teardown(self) -> None:
        self.ledger.close()
        verify(Path(self.place.name) / "ledger.db")
        self.place.cleanup()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
