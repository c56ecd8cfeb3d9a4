"""The gateway in this process: the one place where its parts are put together."""

import asyncio
import getpass
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trilemma.errors import SandboxError, SpecError

from ..inference.names import resolve_model
from ..policy.bundle import Bundle
from ..policy.capability import NONE, CapabilitySet, ordered
from ..policy.decide import DecisionPoint
from ..policy.operator import OperatorPolicy, load_operator_policy
from ..policy.regorus import RegorusEngine
from ..sandbox import images
from ..sandbox.base import CallResult, ModuleEntry, SandboxCall
from ..sandbox.docker import DockerBackend
from ..sandbox.janitor import Janitor
from ..sandbox.pool import Pool
from ..sandbox.runtime import RuntimeDir, alive
from ..sandbox.spec import Egress, Exec, SandboxSpec, ToolModule
from ..sandbox.views import ViewMaker
from .calls import Calls
from .catalog import definitions, fitting
from .destinations import Destinations
from .dispatch import Dispatch
from .egress import DomainEgress, Exit
from .enforcement import Actor, Enforcement, new_id
from .inputs import take_labels
from .interface import Approve
from .ledger.events import Event, Kind
from .ledger.recovery import recover
from .ledger.store import Ledger
from .models import ModelCalls
from .profiles import SandboxPlan, limits
from .schemas import AgentSpec
from .session import LocalSession
from .settings import Settings
from .workspaces.opened import OpenWorkspace
from .workspaces.opening import Mode, Opening, Origin
from .workspaces.registry import Workspaces

_CALLS_AT_ONCE = 64
_DESCRIBE_SECONDS = 20.0


@dataclass(frozen=True)
class Machinery:
    """What runs outside this process on the gateway's behalf, made at the first session."""

    runtime: RuntimeDir
    janitor: Janitor
    backend: DockerBackend
    pool: Pool
    workspaces: Workspaces


class LocalGateway:
    """Opens sessions and holds everything they share. Safe to use from several threads."""

    def __init__(
        self, settings: Settings, policy: OperatorPolicy, enforcement: Enforcement
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.enforcement = enforcement
        self._domain = new_id("dom")
        self._principal = _principal()
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="trilemma-call")
        self._machinery: Machinery | None = None
        self._sessions: dict[str, LocalSession] = {}
        self._egress: dict[str, DomainEgress] = {}
        self._closed = False

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
        bundle = Bundle.base().with_operator(policy)
        if policy.rego is not None:
            bundle = bundle.with_directory(policy.rego)
        point = DecisionPoint(RegorusEngine(bundle))
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        ledger = Ledger.open(
            settings.ledger, durability=settings.durability, anchor=settings.anchor
        )
        recover(ledger, alive)
        return cls(settings, policy, Enforcement(ledger, point))

    async def open(
        self,
        spec: AgentSpec,
        *,
        brings: CapabilitySet = NONE,
        new_domain: bool = False,
        layer: str | None = None,
        approve: Approve | None = None,
    ) -> LocalSession:
        """Start a session; see :class:`~trilemma.gateway.interface.Gateway`."""
        opening = asyncio.ensure_future(
            asyncio.to_thread(self.begin, spec, brings, new_domain, layer, approve)
        )
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                await opening.result().close("cancelled")
            raise

    def begin(
        self,
        spec: AgentSpec,
        brings: CapabilitySet,
        new_domain: bool,
        layer: str | None,
        approve: Approve | None,
    ) -> LocalSession:
        """Start a session. Blocking."""
        actor = Actor(
            principal=self._principal,
            domain=new_id("dom") if new_domain else self._domain,
            session=new_id("ses"),
            grants=spec.granted,
        )
        model = resolve_model(spec.model)
        under_contract = model.ref.provider in self.policy.providers.under_contract
        models = ModelCalls(self.enforcement, actor, model, under_contract)
        models.check()
        machinery = self._started()
        tools = definitions(spec, lambda module: self._describe(machinery, spec, module))
        self._record_opened(actor, spec, new_domain)
        workspace = None
        try:
            take_labels(self.enforcement, actor, brings)
            workspace = self._open_workspace(machinery, actor, spec, layer)
            return self._assemble(machinery, actor, spec, tools, models, workspace, approve)
        except BaseException:
            if workspace is not None:
                workspace.close()
            closed = Event(kind=Kind.SESSION_CLOSED, what="session", body={"reason": "refused"})
            self.enforcement.record(actor, closed)
            raise

    async def close(self) -> None:
        """End every session and destroy every sandbox."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """End everything. Blocking; never raises for what is already gone; twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sessions = list(self._sessions.values())
            machinery = self._machinery
        for session in sessions:
            session.end("gateway closed")
        self._workers.shutdown(wait=True)
        if machinery is not None:
            machinery.pool.close()
            machinery.backend.close()
            machinery.janitor.close(clean=True)
        self.enforcement.ledger.close()

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

    def _assemble(
        self,
        machinery: Machinery,
        actor: Actor,
        spec: AgentSpec,
        tools: tuple[Any, ...],
        models: ModelCalls,
        workspace: OpenWorkspace | None,
        approve: Approve | None,
    ) -> LocalSession:
        offered = fitting(tools, actor.grants)
        exit = Exit(actor, Destinations(spec.hosts, self.policy.egress.allow))
        plan = self._plan(actor, spec, tools, workspace)
        dispatch = Dispatch(machinery.pool, plan, self._egress_of(actor.domain), exit)
        if actor.grants is not None:
            dispatch.prewarm(offered, actor.grants)
        named = {tool.name: tool for tool in tools}
        session = LocalSession(
            actor,
            self.enforcement,
            [tool.offer for tool in offered],
            Calls(self.enforcement, actor, named, dispatch.run, approve),
            models,
            dispatch,
            workspace,
            self._workers,
            self._release,
        )
        with self._lock:
            if self._closed:
                raise SandboxError("the gateway is closed")
            self._sessions[actor.session] = session
        return session

    def _plan(
        self,
        actor: Actor,
        spec: AgentSpec,
        tools: tuple[Any, ...],
        workspace: OpenWorkspace | None,
    ) -> SandboxPlan:
        modules = {tool.module.name: tool.module for tool in tools if tool.module is not None}
        may_run = actor.grants is None or "code" in actor.grants
        mount = workspace.view(exec=False).mount if workspace else None
        executable = workspace.view(exec=True).mount if workspace and may_run else None
        return SandboxPlan(
            domain=actor.domain,
            session=actor.session,
            locked_image=_image("base"),
            code_image=spec.image or _image("code"),
            limits=limits(spec.sandbox),
            mount=mount,
            executable_mount=executable,
            modules=tuple(modules.values()),
        )

    def _open_workspace(
        self, machinery: Machinery, actor: Actor, spec: AgentSpec, layer: str | None
    ) -> OpenWorkspace | None:
        if spec.workspace is None:
            if layer is not None:
                raise SpecError(f"layer {layer!r} cannot be continued: the agent has no workspace")
            return None
        wanted = spec.workspace
        opening = Opening(
            path=spec.base / Path(wanted.path).expanduser(),
            principal=actor.principal,
            domain=actor.domain,
            session=actor.session,
            grants=actor.grants,
            origin=None if wanted.origin is None else Origin(wanted.origin),
            mode=Mode(wanted.mode),
            layer=layer,
        )
        return machinery.workspaces.open(opening, self.enforcement.point.decide)

    def _record_opened(self, actor: Actor, spec: AgentSpec, new_domain: bool) -> None:
        if new_domain:
            self.enforcement.record(actor, Event(kind=Kind.DOMAIN_OPENED, what="domain of its own"))
        body = {
            "instance": self._started().runtime.instance,
            "agent": spec.name,
            "model": spec.model,
            "grants": None if actor.grants is None else [str(c) for c in ordered(actor.grants)],
            "policy": self.enforcement.point.digest,
            "pid": os.getpid(),
        }
        self.enforcement.record(
            actor, Event(kind=Kind.SESSION_OPENED, what=f"agent {spec.name}", body=body)
        )

    def _started(self) -> Machinery:
        """Everything outside this process, started once and only when it is needed."""
        with self._lock:
            if self._closed:
                raise SandboxError("the gateway is closed")
            if self._machinery is None:
                self._machinery = self._start_machinery()
            return self._machinery

    def _start_machinery(self) -> Machinery:
        runtime = RuntimeDir.create(self.settings.runtime)
        # Before anything is made that it would have to clean up.
        janitor = Janitor.start(runtime)
        try:
            backend = DockerBackend(runtime)
        except BaseException:
            janitor.close(clean=True)
            raise
        own = (self.settings.state, self.settings.config, self.settings.runtime)
        workspaces = Workspaces(
            self.enforcement.ledger, self.settings.layers, ViewMaker(runtime.path), own=own
        )
        pool = Pool(backend, blanks=self.settings.warm)
        return Machinery(runtime, janitor, backend, pool, workspaces)

    def _egress_of(self, domain: str) -> DomainEgress:
        with self._lock:
            if domain not in self._egress:
                self._egress[domain] = DomainEgress(self.enforcement, self.policy.egress)
            return self._egress[domain]

    def _describe(
        self, machinery: Machinery, spec: AgentSpec, module: ToolModule
    ) -> list[dict[str, Any]]:
        """Import a tool file in a sandbox that can do nothing, and take its word as text."""
        sandbox = machinery.backend.create(
            SandboxSpec(NONE, Exec.NEVER, Egress.NONE, None, _image("base"), modules=(module,))
        )
        try:
            entry = ModuleEntry(module.name, "describe")
            result = sandbox.call(SandboxCall(new_id("call"), entry, {}, _DESCRIBE_SECONDS))
        finally:
            sandbox.close()
        return _described(result)

    def _release(self, session: LocalSession) -> None:
        """Give back what a session holds; its domain's sandboxes once nobody else uses them."""
        with self._lock:
            self._sessions.pop(session.id, None)
            shared = any(s.domain == session.domain for s in self._sessions.values())
            egress = None if shared else self._egress.pop(session.domain, None)
            machinery = self._machinery
        if machinery is not None and not shared:
            machinery.pool.release_domain(session.domain)
        if egress is not None:
            egress.close()
        if session.workspace is not None:
            session.workspace.close()


def _image(kind: images.Kind) -> str:
    """The image of that kind on this machine."""
    found = images.find(kind)
    if found is None:
        raise SandboxError(f"the {kind} image is not on this machine; run: trilemma image build")
    return found


def _described(result: CallResult) -> list[dict[str, Any]]:
    if result.error is not None:
        raise SpecError(f"the tool file cannot be used: {result.error.message}")
    if not isinstance(result.value, list) or not all(isinstance(e, dict) for e in result.value):
        raise SpecError("the tool file describes no tools")
    return result.value


def _principal() -> str:
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"
