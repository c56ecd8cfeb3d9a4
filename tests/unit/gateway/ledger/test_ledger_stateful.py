import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from trilemma.errors import LedgerError, WorkspaceError
from trilemma.gateway.ledger.declassified import contents_digest
from trilemma.gateway.ledger.events import Event, Kind, Use
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.ledger.rules import LabelMoved
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import Capability, CapabilitySet
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest, Act
from trilemma.policy.rule import violation

DOMAINS = st.sampled_from(["a", "b", "c"])
SETS = st.frozensets(st.sampled_from(Capability), max_size=3)
USES = st.sampled_from(Use)


class LedgerMachine(RuleBasedStateMachine):
    """Any order of acts on one ledger, against a model that is written down naively."""

    workspaces: Bundle[str] = Bundle("workspaces")
    sessions: Bundle[tuple[str, str]] = Bundle("sessions")
    calls: Bundle[tuple[str, str]] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = self.reopened()
        self.held: dict[str, set[Capability]] = {}
        self.labels: dict[str, set[Capability]] = {}
        self.open: dict[tuple[str, str, str], Use] = {}
        self.settled: set[str] = set()
        self.ended: set[str] = set()
        self.count = 0

    def reopened(self) -> Ledger:
        return Ledger.open(
            self.folder / "ledger.db", durability="normal", anchor=self.folder / "anchor"
        )

    def new_name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def took(self, domain: str, capabilities: CapabilitySet) -> None:
        self.held.setdefault(domain, set()).update(capabilities)
        for (owner, _, workspace), use in self.open.items():
            if owner == domain and use is Use.WRITE and capabilities:
                self.labels[workspace] |= self.held[domain]

    @rule(target=workspaces, label=st.frozensets(st.sampled_from(Capability), max_size=1))
    def create(self, label: CapabilitySet) -> str:
        name = self.new_name()
        self.ledger.append(Event(kind=Kind.WORKSPACE_CREATED, joins={name: label}))
        self.labels[name] = set(label)
        return name

    @rule(target=sessions, domain=DOMAINS)
    def begin(self, domain: str) -> tuple[str, str]:
        name = self.new_name()
        self.ledger.append(Event(kind=Kind.SESSION_OPENED, domain=domain, session=name))
        return domain, name

    @rule(session=sessions)
    def end(self, session: tuple[str, str]) -> None:
        domain, name = session
        event = Event(kind=Kind.SESSION_CLOSED, domain=domain, session=name)
        try:
            self.ledger.append(event)
        except LedgerError:
            assert name in self.ended
        self.ended.add(name)
        self.open = {key: use for key, use in self.open.items() if key[1] != name}

    @rule(session=sessions, workspace=workspaces, use=USES, more=SETS)
    def open_workspace(
        self, session: tuple[str, str], workspace: str, use: Use, more: CapabilitySet
    ) -> None:
        domain, name = session
        held = self.held.get(domain, set())
        takes = frozenset((more | self.labels[workspace]) - held)
        rivals = [u for (d, _, w), u in self.open.items() if w == workspace and d != domain]
        event = Event(
            kind=Kind.WORKSPACE_OPENED,
            domain=domain,
            session=name,
            opens={workspace: use},
            takes=takes,
        )
        try:
            self.ledger.append(event)
        except WorkspaceError:
            assert rivals
            assert Use.WRITE in (use, *rivals)
        except LedgerError:
            assert len(held | takes) > 2 or name in self.ended
        else:
            assert Use.WRITE not in rivals
            key = (domain, name, workspace)
            self.open[key] = Use.WRITE if Use.WRITE in (use, self.open.get(key)) else use
            self.took(domain, takes)
            if use is Use.WRITE:
                self.labels[workspace] |= self.held[domain]

    @rule(session=sessions, workspace=workspaces)
    def forget_the_label(self, session: tuple[str, str], workspace: str) -> None:
        domain, name = session
        if self.labels[workspace] <= self.held.get(domain, set()) or name in self.ended:
            return
        event = Event(
            kind=Kind.WORKSPACE_OPENED, domain=domain, session=name, opens={workspace: Use.READ}
        )
        try:
            self.ledger.append(event)
        except LabelMoved:
            return
        raise AssertionError("opened without its label")

    @rule(target=workspaces, workspace=workspaces, label=SETS)
    def copy(self, workspace: str, label: CapabilitySet) -> str:
        """A copy has at least the label of what was copied; with less there is none."""
        name = self.new_name()
        body = {"of": [workspace]}
        event = Event(kind=Kind.WORKSPACE_SNAPSHOT, joins={name: label}, body=body)
        try:
            self.ledger.append(event)
        except LedgerError:
            assert not self.labels[workspace] <= label
            return workspace
        assert self.labels[workspace] <= label
        self.labels[name] = set(label)
        return name

    @rule(workspace=workspaces, removes=SETS, session=st.none() | sessions)
    def declassify(
        self, workspace: str, removes: CapabilitySet, session: tuple[str, str] | None
    ) -> None:
        domain, name = session or ("", "")
        event = Event(
            kind=Kind.WORKSPACE_DECLASSIFIED,
            principal="me",
            domain=domain,
            session=name,
            drops={workspace: removes},
            body={"files": {}, "digest": contents_digest({})},
        )
        in_use = any(w == workspace for _, _, w in self.open)
        may = session is None and removes and removes <= self.labels[workspace] and not in_use
        try:
            self.ledger.append(event)
        except (LedgerError, WorkspaceError):
            assert not may
        else:
            assert may
            self.labels[workspace] -= removes

    @rule(session=sessions, workspace=workspaces)
    def close_workspace(self, session: tuple[str, str], workspace: str) -> None:
        domain, name = session
        self.ledger.append(
            Event(
                kind=Kind.WORKSPACE_CLOSED,
                domain=domain,
                session=name,
                closes=frozenset({workspace}),
            )
        )
        self.open.pop((domain, name, workspace), None)

    @rule(target=calls, session=sessions, needs=SETS, honest=st.booleans())
    def reserve(
        self, session: tuple[str, str], needs: CapabilitySet, honest: bool
    ) -> tuple[str, str]:
        domain, name = session
        call = self.new_name()

        def build(held: Held) -> AccessRequest:
            assert held.capabilities == self.held.get(domain, set())
            return AccessRequest(Act.TOOL, "me", needs, held.capabilities, None)

        def decide(request: AccessRequest) -> Decision:
            broken = honest and violation(request.held, request.taking, None)
            return Decision(Verdict.DENY if broken else Verdict.ALLOW, (), "x", request.taking)

        def write(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
            kind = Kind.CALL_RESERVED if decision.allowed else Kind.CALL_DENIED
            return Event(kind=kind, domain=domain, session=name, call=call, takes=new)

        try:
            made = self.ledger.reserve(domain, build, decide, write)
        except LedgerError:
            assert name in self.ended or not honest
            return domain, "never"
        if not made.decision.allowed:
            return domain, "never"
        self.took(domain, made.recorded.event.takes)
        assert needs <= self.held[domain]
        return domain, call

    @rule(call=calls)
    def commit(self, call: tuple[str, str]) -> None:
        domain, name = call
        try:
            self.ledger.append(Event(kind=Kind.CALL_COMMITTED, domain=domain, call=name))
        except LedgerError:
            assert name == "never" or name in self.settled
        else:
            assert name not in self.settled
            self.settled.add(name)

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self.reopened()

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        for domain in "abc":
            held = self.ledger.held(domain)
            assert set(held.capabilities) == self.held.get(domain, set())
            assert len(held.capabilities) <= 2
            opened = {(o.domain, o.session, o.workspace): o.use for o in held.opened}
            assert opened == {key: use for key, use in self.open.items() if key[0] == domain}
        for workspace, label in self.labels.items():
            assert set(self.ledger.label(workspace) or ()) == label

    def teardown(self) -> None:
        self.ledger.close()
        verify(self.folder / "ledger.db", anchor=self.folder / "anchor")
        shutil.rmtree(self.folder)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
