"""What runs outside this process on a gateway's behalf, started once and ended once."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from trilemma.errors import ImageMissing, SpecError

from ..policy.capability import NONE
from ..sandbox import images
from ..sandbox.base import BuiltinEntry, CallResult, SandboxCall
from ..sandbox.carried.views import CarriedViews
from ..sandbox.carried.why import why_carried
from ..sandbox.docker import DockerBackend
from ..sandbox.janitor import Janitor
from ..sandbox.pool import Pool
from ..sandbox.runtime import RuntimeDir
from ..sandbox.spec import Egress, Exec, SandboxSpec, ToolModule
from ..sandbox.views import ViewMaker
from .enforcement import new_id
from .ledger.store import Ledger
from .settings import Settings
from .workspaces.opened import Views
from .workspaces.registry import Workspaces
from .workspaces.snapshots import Snapshots

_DESCRIBE_SECONDS = 20.0
_MIB = 1024 * 1024

Image = Callable[[images.Kind], str]
"""Gives the id of an image."""


@dataclass(frozen=True)
class Machinery:
    """The runtime directory, the janitor, the container engine and what stands on them."""

    runtime: RuntimeDir
    janitor: Janitor
    backend: DockerBackend
    pool: Pool
    workspaces: Workspaces
    _image: Image = field(default_factory=lambda: functools.cache(image))

    @classmethod
    def start(cls, settings: Settings, ledger: Ledger) -> Self:
        """Start everything.

        Raises:
            EngineMissing: no container engine answers.
            SandboxError: the runtime directory cannot be used.
        """
        runtime = RuntimeDir.create(settings.runtime)
        # Before anything is made that it would have to clean up.
        snapshots = Snapshots(settings.snapshots, runtime.instance, settings.snapshot_mb * _MIB)
        janitor = Janitor.start(runtime, also=snapshots.place)
        try:
            backend = DockerBackend(runtime)
        except BaseException:
            janitor.close(clean=True)
            raise
        own = (settings.state, settings.config, settings.runtime)
        rules = tuple(path for path in (settings.policy_file, settings.anchor) if path is not None)
        known = functools.cache(image)
        views = _views(runtime, backend, settings, known)
        snapshots.sweep()
        workspaces = Workspaces(
            ledger, settings.layers, views, own=own, rules=rules, snapshots=snapshots
        )
        pool = Pool(backend, blanks=settings.warm, most=settings.sandboxes)
        return cls(runtime, janitor, backend, pool, workspaces, known)

    def image(self, kind: images.Kind) -> str:
        """As :func:`image`, which asks the engine once: an id names its content for good.

        Raises:
            ImageMissing: it was not built yet.
        """
        return self._image(kind)

    def describe(self, module: ToolModule) -> list[dict[str, Any]]:
        """Import a tool file in a sandbox that can do nothing, and take its word as text.

        Raises:
            SpecError: the file cannot be imported, or describes no tools.
        """
        nothing = SandboxSpec(
            NONE, Exec.NEVER, Egress.NONE, None, self.image("base"), modules=(module,)
        )
        sandbox = self.backend.create(nothing)
        try:
            result = sandbox.call(
                SandboxCall(
                    new_id("call"),
                    BuiltinEntry("describe_module"),
                    {"module": module.name},
                    _DESCRIBE_SECONDS,
                )
            )
        finally:
            sandbox.close()
        return _described(result)

    def close(self) -> None:
        """End everything, wait until it is gone. Never raises."""
        self.pool.close()
        self.backend.close()
        self.workspaces.close()
        self.janitor.close(clean=self.backend.clean)


def _views(runtime: RuntimeDir, backend: DockerBackend, settings: Settings, known: Image) -> Views:
    """How folders are shown here: mounted, or carried where that cannot be."""
    if why := why_carried(backend.engine):
        size = settings.carried_mb * _MIB
        return CarriedViews(backend, lambda: known("base"), why=why, size=size)
    return ViewMaker(runtime.path)


def image(kind: images.Kind) -> str:
    """The id of the image of that kind that was built here.

    Raises:
        ImageMissing: it was not built yet.
    """
    found = images.find(kind)
    if found is None:
        raise ImageMissing(f"the {kind} image was not built here yet; run: trilemma image build")
    return found


def _described(result: CallResult) -> list[dict[str, Any]]:
    if result.error is not None:
        raise SpecError(f"the tool file cannot be used: {result.error.message}")
    if not isinstance(result.value, list) or not all(isinstance(e, dict) for e in result.value):
        raise SpecError("the tool file describes no tools")
    return result.value
