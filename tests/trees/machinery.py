"""Sandboxes in memory: no container, but data really moves as the mechanisms of each allow."""

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from tests.trees.oracle import Oracle, data_in

from trilemma.errors import SpecError
from trilemma.gateway.egress import DomainEgress, Exit
from trilemma.gateway.workspaces.registry import Workspaces
from trilemma.sandbox.base import CallResult, SandboxCall
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.images import Kind
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec, ToolModule
from trilemma.sandbox.views import View

UID = 1000


class Killed(BaseException):
    """The gateway dies under a call."""


@dataclass(frozen=True)
class Shown:
    """What lies under a mount."""

    read: tuple[Path, ...]
    written: Path | None


class MemoryViews:
    """See :class:`~trilemma.gateway.workspaces.opened.Views`."""

    def __init__(self) -> None:
        self._shown: dict[Path, Shown] = {}
        self._numbers = itertools.count()

    def layer_view(self, folder: Folder, layer: Path, *, exec: bool) -> View:
        """The folder with the changes on top."""
        upper = layer / "upper"
        upper.mkdir(exist_ok=True)
        return self._view(Shown((folder.path, upper), upper))

    def direct_view(self, folder: Folder, *, read_only: bool, exec: bool) -> View:
        """The folder itself."""
        return self._view(Shown((folder.path,), None if read_only else folder.path))

    def read_only_view(self, view: View, *, exec: bool) -> View:
        """What another view shows."""
        return self._view(Shown(self.under(view.mount).read, None))

    def under(self, mount: Mount) -> Shown:
        """What a sandbox with that mount can reach."""
        return self._shown[mount.source]

    def close(self) -> None:
        """Nothing is mounted."""

    def _view(self, shown: Shown) -> View:
        place = Path(f"/view/{next(self._numbers)}")
        self._shown[place] = shown
        mount = Mount(place, read_only=shown.written is None, uid=UID, gid=UID)
        return View(mount, lambda: None, copied=False, hidden=())


@dataclass
class MemoryPool:
    """See :class:`~trilemma.sandbox.pool.Pool`."""

    oracle: Oracle
    views: MemoryViews
    deadly: Callable[[], None] | None = None
    """Kills the gateway, under the next call."""

    def lease(
        self, spec: SandboxSpec, waits: Callable[[], bool] = lambda: False
    ) -> "MemorySandbox":
        """A sandbox that can do what its spec says."""
        return MemorySandbox(spec, self)

    def prewarm(self, spec: SandboxSpec) -> None:
        """Nothing is slow here."""

    def release_domain(self, domain: str) -> None:
        """Nothing is kept."""

    def release_session(self, session: str, mounts: Iterable[Mount | None]) -> None:
        """Nothing is kept."""


@dataclass
class MemorySandbox:
    """One sandbox. What a call does follows from its mechanisms, not from the tool's name."""

    spec: SandboxSpec
    pool: MemoryPool
    id: str = "sandbox"
    exchange: Path = Path("/exchange")
    uid: int = UID
    lost: bool = False

    def call(self, call: SandboxCall) -> CallResult:
        """Read, fetch, make and write whatever is possible."""
        spec, oracle = self.spec, self.pool.oracle
        domain, tool = spec.domain, getattr(call.entry, "name", "a tool")
        powers = frozenset(map(str, spec.capabilities))
        oracle.uses(domain, powers, f"runs {tool} with {{{', '.join(sorted(powers))}}}")
        known = set(data_in(json.dumps(call.arguments)))
        if spec.mount is not None:
            known |= self._read(spec.mount)
        if spec.egress is not Egress.NONE:
            known.add(fetched := oracle.stranger())
            oracle.arrives(domain, fetched, "fetches it")
        known.add(oracle.makes(domain))
        if spec.mount is not None and (tool == "write_file" or spec.exec is Exec.FREE):
            self._write(spec.mount, known)
        if self.pool.deadly is not None:
            self.pool.deadly()
            raise Killed
        return CallResult(" ".join(sorted(known)))

    def cancel(self, call_id: str) -> None:
        """Calls end by themselves."""

    def close(self) -> None:
        """Nothing runs."""

    def _read(self, mount: Mount) -> set[str]:
        found = set()
        for place in self.pool.views.under(mount).read:
            names = (
                {f"<{file.name}>" for file in place.glob("d[0-9]*")} if place.exists() else set()
            )
            words = f"reads {', '.join(sorted(names))} in {place.parent.name}/{place.name}"
            self.pool.oracle.arrives(self.spec.domain, " ".join(names), words)
            found |= names
        return found

    def _write(self, mount: Mount, data: set[str]) -> None:
        place = self.pool.views.under(mount).written
        for name in data if place is not None else ():
            assert place is not None
            (place / name.strip("<>")).touch()


class MemoryEgress(DomainEgress):
    """A way out without processes; what goes through it is in the sandbox's hands."""

    def connect(self, call: str, exit: Exit) -> socket:
        """Nothing to connect."""
        return None  # type: ignore[return-value]

    def listen(self, path: Path, name: str, exit: Exit, uid: int) -> None:
        """Nobody listens."""

    def silence(self, path: Path, name: str) -> None:
        """Nobody listened."""


@dataclass(frozen=True)
class _Runtime:
    path: Path
    instance: str = ""
    """Nobody of that name runs: whatever it leaves open is recovered by the next."""


@dataclass(frozen=True)
class _Janitor:
    def close(self, *, clean: bool) -> None:
        """There is nothing to clean up."""


@dataclass(frozen=True)
class MemoryMachinery:
    """See :class:`~trilemma.gateway.machinery.Machinery`."""

    runtime: _Runtime
    pool: MemoryPool
    workspaces: Workspaces
    janitor: _Janitor = _Janitor()

    @classmethod
    def on(cls, place: Path, pool: MemoryPool, workspaces: Workspaces) -> "MemoryMachinery":
        """All that a gateway needs."""
        return cls(_Runtime(place), pool, workspaces)

    def image(self, kind: Kind) -> str:
        """No image."""
        return "sha256:" + "0" * 64

    def describe(self, module: ToolModule) -> list[dict[str, Any]]:
        """No tool files here."""
        raise SpecError("no tool files here")

    def close(self) -> None:
        """Nothing runs."""
        self.workspaces.close()
