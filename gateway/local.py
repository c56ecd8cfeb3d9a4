"""The gateway in this process: the one place where its parts are put together."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Self

from trilemma.errors import SandboxError, TrilemmaError

from ..inference.names import resolve_model
from ..policy.bundle import Bundle
from ..policy.capability import NONE, CapabilitySet
from ..policy.decide import DecisionPoint
from ..policy.operator import OperatorPolicy, load_operator_policy
from ..policy.regorus import RegorusEngine
from ..sandbox.runtime import alive
from .admission import Admission
from .alarm import Alarm
from .assembling import Shared
from .budgets import first_purse
from .crossings import Crossings
from .delegation.opening import admit_attenuated, first_position
from .delegation.standing import Position, Standing
from .egress import DomainEgress
from .enforcement import Actor, Enforcement, new_id
from .identity import IdentityMint
from .interface import Approve, OnEvent
from .lasting import in_thread, to_its_end
from .ledger.recovery import recover
from .ledger.store import Ledger
from .machinery import Machinery
from .principal import current_principal
from .runs.places import Runs
from .runs.starting import RunStart
from .schemas import AgentSpec
from .session import LocalSession
from .settings import Settings
from .stops import StopWatch
from .teamspec import AttenuatedSpec, MediatedSpec

_CALLS_AT_ONCE = 512
"""Of all sessions together. A thread that waits for its sandbox costs next to nothing."""


class LocalGateway:
    """Opens sessions and holds everything they share. Safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        policy: OperatorPolicy,
        enforcement: Enforcement,
        mint: IdentityMint,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.enforcement = enforcement
        self._domain = new_id("dom")
        self.principal = current_principal()
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="trilemma-call")
        self._machinery: Machinery | None = None
        self._stops: StopWatch | None = None
        self._sessions: dict[str, LocalSession] = {}
        self._egress: dict[str, DomainEgress] = {}
        self._users: Counter[str] = Counter()
        self._leaving: set[str] = set()
        self._left = threading.Condition(self._lock)
        self._closed = False
        self._awake: Counter[str] = Counter()
        self._alarm = Alarm(self._workers.submit)
        crossings = Crossings(enforcement, policy.crossings.bits)
        self._shared = Shared(
            enforcement,
            policy,
            mint,
            crossings,
            self,
            self._workers,
            self._release,
            self,
            self._alarm,
        )
        self._runs = Runs.of(settings.state)

    @classmethod
    def start(cls, settings: Settings | None = None) -> Self:
        """Read the operator's policy and open the ledger; nothing else runs yet.

        Raises:
            SpecError: the operator's policy is written wrong.
            PolicyError: its Rego does not load.
            LedgerError: the ledger cannot be opened.
        """
        settings = settings or Settings.from_environment()
        policy = load_operator_policy(settings.policy, missing_ok=settings.policy_file is None)
        point = decision_point(policy)
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        mint = IdentityMint.open(settings.state)
        ledger = Ledger.open(
            settings.ledger, durability=settings.durability, anchor=settings.anchor
        )
        try:
            recover(ledger, alive)
        except BaseException:
            ledger.close()
            raise
        return cls(settings, policy, Enforcement(ledger, point), mint)

    async def open(
        self,
        spec: AgentSpec,
        *,
        brings: CapabilitySet = NONE,
        new_domain: bool = False,
        layer: str | None = None,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
        lasting: bool = False,
    ) -> LocalSession:
        """Start a session; see :class:`~trilemma.gateway.interface.Gateway`."""
        actor = Actor(
            principal=self.principal,
            domain=new_id("dom") if new_domain else self._domain,
            session=new_id("ses"),
            grants=spec.granted,
        )
        position = first_position(spec, actor, first_purse(spec), on_event)
        asked = Admission(spec, actor, brings, new_domain, layer, approve, position)
        return await _handed_over(in_thread(self._begin_run if lasting else self.begin, asked))

    async def resume(
        self,
        run: str,
        *,
        spec: AgentSpec | None = None,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
    ) -> LocalSession:
        """Go on with a run; see :class:`~trilemma.gateway.interface.Gateway`."""
        return await _handed_over(in_thread(self._begin_again, run, spec, approve, on_event))

    def _begin_run(self, asked: Admission) -> LocalSession:
        """Start the session of a run. Blocking."""
        run = asked.run or RunStart.new(self._runs, asked.spec)
        try:
            return self.begin(replace(asked, run=run))
        except BaseException as error:
            run.refuse(error)
            raise

    def _begin_again(
        self,
        run: str,
        spec: AgentSpec | None,
        approve: Approve | None,
        on_event: OnEvent | None,
    ) -> LocalSession:
        ledger = self.enforcement.ledger
        # Whoever had it may have died just now: what it left open is settled first.
        recover(ledger, alive)
        start = RunStart.again(self._runs, run, spec, ledger, self.principal)
        actor = Actor(self.principal, start.domain, new_id("ses"), start.spec.granted)
        purse = first_purse(start.spec, start.progress)
        position = first_position(start.spec, actor, purse, on_event)
        asked = Admission(start.spec, actor, NONE, False, start.layer, approve, position, start)
        return self._begin_run(asked)

    def begin(self, asked: Admission) -> LocalSession:
        """Start a session. Blocking."""
        depth = asked.position.lineage.depth
        models = self._shared.models(asked.actor, resolve_model(asked.spec.model), depth)
        machinery = self._started()
        return self._entered(
            asked.actor.domain,
            lambda egress: asked.admit(self._shared, machinery, models, egress),
        )

    def attenuated(
        self, parent: Standing, child: AttenuatedSpec, session: str, position: Position
    ) -> LocalSession:
        """Start a sub-agent in its parent's domain. Blocking."""
        machinery = self._started()
        admit = partial(admit_attenuated, self._shared, machinery, parent, child, session, position)
        with parent.idling.using():
            return self._entered(parent.actor.domain, lambda egress: admit())

    def mediated(
        self,
        parent: Standing,
        child: MediatedSpec,
        session: str,
        position: Position,
        brings: CapabilitySet,
    ) -> LocalSession:
        """Start a sub-agent in a domain of its own. Blocking."""
        assert child.spec is not None, "its file was read with its parent's"
        spec = child.spec.model_copy(update={"name": child.agent})
        actor = Actor(self.principal, new_id("dom"), session, spec.granted)
        approve, above = parent.approve, parent.sources
        asked = Admission(spec, actor, brings, True, None, approve, position, above=above)
        return self.begin(asked)

    def _entered(self, domain: str, admit: Callable[[DomainEgress], LocalSession]) -> LocalSession:
        """Let one more session into a domain, and keep it in mind."""
        egress = self._enter(domain)
        try:
            session = admit(egress)
        except BaseException:
            self._leave(domain)
            raise
        with self._lock:
            closed = self._closed
            if not closed:
                self._sessions[session.id] = session
        if closed:
            session.end("gateway closed")
            raise SandboxError("the gateway is closed")
        return session

    async def rest(self) -> None:
        """Wait until the sandboxes that stand ready are made, and those given back are gone."""
        if self._machinery is not None:
            await asyncio.to_thread(self._machinery.pool.rest)

    async def close(self) -> None:
        """End every session and destroy every sandbox."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """End everything. Blocking; twice is fine.

        Raises:
            LedgerError: the end of a session could not be recorded. All is gone all the same.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sessions = list(self._sessions.values())
        problems = [problem for session in sessions if (problem := _end(session)) is not None]
        self._alarm.close()
        self._workers.shutdown(wait=True)
        if self._stops is not None:
            self._stops.close()
        if self._machinery is not None:
            self._machinery.close()
        self.enforcement.ledger.close()
        if problems:
            raise problems[0]

    def stop(self, session: str) -> bool:
        """End one session: its calls are killed and its run fails. Whether there is such a one."""
        with self._lock:
            found = self._sessions.get(session)
        if found is not None:
            found.stopping.ask()
        return found is not None

    def abandon(self) -> None:
        """End at interpreter exit, where no thread can start any more: the janitor cleans up."""
        with self._lock:
            machinery, self._machinery = self._machinery, None
            egress, self._egress = list(self._egress.values()), {}
            self._closed = True
        for exit in egress:
            exit.close()
        if machinery is not None:
            machinery.janitor.close(clean=False)

    def _started(self) -> Machinery:
        """Everything outside this process, started once and only when it is needed."""
        with self._lock:
            if self._closed:
                raise SandboxError("the gateway is closed")
            if self._machinery is None:
                self._machinery = Machinery.start(self.settings, self.enforcement.ledger)
                self._stops = StopWatch(self._machinery.runtime.path, self.stop)
                self._workers.submit(self.enforcement.ledger.make_room)
            return self._machinery

    def _enter(self, domain: str) -> DomainEgress:
        """One more session uses the domain's sandboxes and its way out."""
        with self._left:
            # What the last one had is destroyed first, or it would be destroyed under this one.
            self._left.wait_for(lambda: domain not in self._leaving)
            self._users[domain] += 1
            if domain not in self._egress:
                self._egress[domain] = DomainEgress(self.enforcement, self.policy.egress)
            return self._egress[domain]

    def _leave(self, domain: str) -> None:
        """One session less; what the domain had is destroyed after the last."""
        with self._lock:
            self._users[domain] -= 1
            if self._users[domain] > 0:
                return
            del self._users[domain]
            egress = self._egress.pop(domain, None)
            self._leaving.add(domain)
        self._give_back(domain, egress)

    def woke(self, domain: str) -> None:
        """One more root of the domain uses what its sessions share."""
        with self._left:
            self._left.wait_for(lambda: domain not in self._leaving)
            self._awake[domain] += 1

    def rested(self, domain: str, *, give_back: bool) -> None:
        """One less; after the last, what they share is destroyed, and made again when wanted."""
        with self._lock:
            self._awake[domain] -= 1
            if self._awake[domain] > 0:
                return
            del self._awake[domain]
            if not give_back:
                return
            egress = self._egress.get(domain)
            self._leaving.add(domain)
        self._give_back(domain, egress)

    def _give_back(self, domain: str, egress: DomainEgress | None) -> None:
        machinery = self._machinery
        try:
            if machinery is not None:
                machinery.pool.release_domain(domain)
            if egress is not None:
                egress.close()
        finally:
            with self._left:
                self._leaving.discard(domain)
                self._left.notify_all()

    def _release(self, session: LocalSession) -> None:
        """Give back what a session holds."""
        with self._lock:
            self._sessions.pop(session.id, None)
        try:
            self._leave(session.domain)
        finally:
            if session.workspace is not None:
                session.workspace.close()


async def _handed_over(opening: "asyncio.Future[LocalSession]") -> LocalSession:
    """The session that is being opened; ended at once where nobody waits for it any more."""
    try:
        return await to_its_end(opening)
    except asyncio.CancelledError:
        if opening.exception() is None:
            await opening.result().close("cancelled")
        raise


def _end(session: LocalSession) -> TrilemmaError | None:
    """End one session whatever happens, so that the next ones are ended too."""
    try:
        session.end("gateway closed")
    except TrilemmaError as error:
        return error
    return None


def decision_point(policy: OperatorPolicy) -> DecisionPoint:
    """The decision point that an operator's policy makes: the base, narrowed.

    Raises:
        PolicyError, SpecError: its Rego does not load, or would widen.
    """
    bundle = Bundle.base().with_operator(policy)
    if policy.rego is not None:
        bundle = bundle.with_directory(policy.rego)
    return DecisionPoint(RegorusEngine(bundle))
