"""The Docker backend: makes, verifies and destroys sandboxes."""

import contextlib
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from trilemma.errors import SandboxError, SandboxLost, SandboxRefused

from .base import CallResult, SandboxCall
from .channel import Channel
from .container import Settings, configuration
from .door import Door
from .engine import Engine
from .evidence import first_process, gather
from .expected import compare_image
from .runtime import RuntimeDir
from .spec import SandboxSpec
from .verify import verify

_CONNECT_SECONDS = 30.0


class DockerSandbox:
    """One running, verified container."""

    def __init__(
        self, container: str, settings: Settings, channel: Channel, destroy: Callable[[], None]
    ) -> None:
        self._container = container
        self._settings = settings
        self._channel = channel
        self._destroy: Callable[[], None] | None = destroy
        self._closing = threading.Lock()

    @property
    def id(self) -> str:
        """Container id."""
        return self._container

    @property
    def spec(self) -> SandboxSpec:
        """What it was asked to be, and was verified to be."""
        return self._settings.spec

    @property
    def exchange(self) -> Path:
        """The host's folder that it sees, read-only, as ``/run/trilemma``."""
        return self._settings.exchange

    @property
    def uid(self) -> int:
        """The user it runs as."""
        return self._settings.uid

    @property
    def lost(self) -> bool:
        """Whether it is gone."""
        return self._destroy is None

    def call(self, call: SandboxCall) -> CallResult:
        """Run one call and wait for it; see ``base.Sandbox``."""
        try:
            return self._channel.call(call)
        except SandboxLost:
            # Whatever still runs in there must not go on after its outcome became unknown.
            self.close()
            raise

    def cancel(self, call_id: str) -> None:
        """Kill a running call."""
        self._channel.cancel(call_id)

    def close(self) -> None:
        """Destroy the container. Never raises; closing twice is fine."""
        with self._closing:
            destroy, self._destroy = self._destroy, None
            if destroy is not None:
                self._channel.close()
                destroy()


class DockerBackend:
    """Makes sandboxes as containers of the local engine. Safe to use from several threads."""

    def __init__(self, runtime: RuntimeDir, *, oci_runtime: str = "runc") -> None:
        """Connect to the engine.

        Raises:
            EngineMissing: no local engine answers.

        """
        self._runtime = runtime
        self._oci_runtime = oci_runtime
        self._engine = Engine()
        self._images: set[str] = set()
        self._sandboxes: set[DockerSandbox] = set()
        self._lock = threading.Lock()
        self._closed = False

    def create(self, spec: SandboxSpec) -> DockerSandbox:
        """Make, start and verify one sandbox; see ``base.SandboxBackend``."""
        if self._closed:
            raise SandboxError("the sandbox backend is closed")
        self._check_image(spec.image)
        settings = Settings(
            spec=spec,
            name=f"trilemma-{secrets.token_hex(6)}",
            instance=self._runtime.instance,
            exchange=self._runtime.exchange(),
            runtime=self._oci_runtime,
        )
        try:
            sandbox = self._start(settings)
        except BaseException:
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

    def _check_image(self, image: str) -> None:
        """An image id names its content, so looking once is enough."""
        if image in self._images:
            return
        for finding in compare_image(self._engine.image(image), image):
            raise SandboxRefused(f"image {image!r} cannot be used: {finding}")
        self._images.add(image)

    def _start(self, settings: Settings) -> DockerSandbox:
        with Door(settings.exchange, settings.uid) as door:
            container = self._engine.create(configuration(settings), settings.name)
            self._engine.start(container)
            channel = Channel(door.accept(lambda: self._process(container), _CONNECT_SECONDS))
        try:
            self_test = channel.configure(settings.spec)
            verify(gather(self._engine, container, self_test), settings)
        except BaseException:
            channel.close()
            raise
        return DockerSandbox(container, settings, channel, lambda: self._destroy(settings))

    def _process(self, container: str) -> int:
        return first_process(self._engine.inspect(container))

    def _keep(self, sandbox: DockerSandbox) -> DockerSandbox:
        with self._lock:
            if not self._closed:
                self._sandboxes.add(sandbox)
                return sandbox
        sandbox.close()
        raise SandboxError("the sandbox backend was closed meanwhile")

    def _destroy(self, settings: Settings) -> None:
        """What fails here is left to the janitor."""
        with self._lock:
            self._sandboxes = {s for s in self._sandboxes if s.exchange != settings.exchange}
        with contextlib.suppress(SandboxError):
            self._engine.remove(settings.name)
        shutil.rmtree(settings.exchange, ignore_errors=True)
