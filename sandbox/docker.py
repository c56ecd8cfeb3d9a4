"""The Docker backend: makes, verifies and destroys sandboxes."""

import contextlib
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Callable

from trilemma.errors import SandboxError

from .arrival import verify_slot
from .channel import Channel
from .container import Settings, configuration
from .dockersandbox import DockerSandbox
from .engine import Engine
from .hosttree import HostTree
from .imagecheck import ImageCheck
from .keptlimits import refuse_unlimited
from .proc import MountPoint
from .runtime import RuntimeDir
from .slots import Slot
from .spec import SandboxSpec
from .transport import Started, Transport, choose
from .verify import verify

_log = logging.getLogger(__name__)


class DockerBackend:
    """Makes sandboxes as containers of an engine. Safe to use from several threads."""

    def __init__(
        self,
        runtime: RuntimeDir,
        *,
        oci_runtime: str = "runc",
        transport: Callable[[Engine], Transport] = choose,
    ) -> None:
        """Connect to the engine.

        Raises:
            EngineMissing: no engine answers.

        """
        self._runtime = runtime
        self._oci_runtime = oci_runtime
        self._engine = Engine()
        try:
            self._transport = transport(self._engine)
        except BaseException:
            self._engine.close()
            raise
        self.late = os.geteuid() == 0 and not self._transport.stdio
        """Whether a workspace can be shown to a sandbox that runs already."""
        self.clean = True
        """Whether every container that was to go is gone."""
        self._images = ImageCheck()
        self._tree = HostTree()
        self._sandboxes: set[DockerSandbox] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def engine(self) -> Engine:
        """The connection to the engine."""
        return self._engine

    @property
    def instance(self) -> str:
        """The gateway whose sandboxes these are: what the janitor finds them by."""
        return self._runtime.instance

    def create(self, spec: SandboxSpec) -> DockerSandbox:
        """Make, start and verify one sandbox; see ``base.SandboxBackend``."""
        if self._closed:
            raise SandboxError("the sandbox backend is closed")
        refuse_unlimited(self._engine)
        brought, tree = self._images.check(spec.image), self._tree.volume()
        settings = Settings(
            spec=spec,
            name=f"trilemma-{secrets.token_hex(6)}",
            instance=self._runtime.instance,
            exchange=self._runtime.exchange(),
            host=tree,
            brought=brought,
            runtime=self._oci_runtime,
            slot=self._slot(spec),
            stdio=self._transport.stdio,
        )
        try:
            sandbox = self._start(settings)
        except BaseException:
            self._tree.forget()
            self._destroy(settings)
            raise
        return self._keep(sandbox)

    def close(self) -> None:
        """Destroy every sandbox this backend made. Never raises."""
        with self._lock:
            self._closed = True
            sandboxes = list(self._sandboxes)
        threads = [threading.Thread(target=sandbox.close) for sandbox in sandboxes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._engine.close()

    def _start(self, settings: Settings) -> DockerSandbox:
        started = self._started(settings)
        channel = Channel(started.control)
        with contextlib.ExitStack() as undo:
            undo.callback(channel.close)
            self_test = channel.configure(settings.spec)
            # Held before the Engine is asked once more whose process this is.
            first = started.hold()
            undo.callback(first.close)
            evidence = started.evidence(channel, self_test)
            # First, for what it finds is this machine's and no image's.
            self._check_slot(evidence.mounts, settings)
            verify(evidence, settings)
            undo.pop_all()
        return DockerSandbox(
            started.container,
            settings,
            channel,
            first,
            evidence.mounts,
            lambda: self._destroy(settings),
        )

    def _keep(self, sandbox: DockerSandbox) -> DockerSandbox:
        with self._lock:
            if not self._closed:
                self._sandboxes.add(sandbox)
                return sandbox
        sandbox.close()
        raise SandboxError("the sandbox backend was closed meanwhile")

    def _started(self, settings: Settings) -> Started:
        try:
            return self._transport.start(configuration(settings), settings)
        except SandboxError as error:
            # What the engine has against a mount it says with the folder's name.
            if settings.slot is not None and str(settings.slot.path) in str(error):
                self._learn(error)
            raise

    def _check_slot(self, mounts: tuple[MountPoint, ...], settings: Settings) -> None:
        if settings.slot is not None:
            try:
                verify_slot(mounts, settings)
            except SandboxError as error:
                self._learn(error)
                raise

    def _slot(self, spec: SandboxSpec) -> Slot | None:
        if spec.mount is None or not spec.mount.awaited:
            return None
        try:
            return Slot(self._runtime.path / "slots")
        except SandboxError as error:
            self._learn(error)
            raise

    def _learn(self, error: SandboxError) -> None:
        """Where slots cannot be, all sandboxes that come are made with their workspace.

        Only what is wrong with a slot says so: whatever is wrong with one image is no reason.
        """
        _log.warning("workspaces are mounted when sandboxes are made, not later: %s", error)
        self.late = False

    def _destroy(self, settings: Settings) -> None:
        """What fails here is left to the janitor."""
        with self._lock:
            self._sandboxes = {s for s in self._sandboxes if s.exchange != settings.exchange}
        try:
            self._engine.remove(settings.name)
        except SandboxError as error:
            _log.warning("container %s is left to the janitor: %s", settings.name, error)
            self.clean = False
        if settings.slot is not None:
            settings.slot.close()
        shutil.rmtree(settings.exchange, ignore_errors=True)
