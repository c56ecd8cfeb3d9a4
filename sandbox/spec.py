"""What a sandbox is asked to be: frozen, complete, and nothing in it is a wildcard."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trilemma.errors import SpecError

from ..policy.capability import Capability, CapabilitySet, show
from .limits import Limits


class Exec(StrEnum):
    """What the processes of a sandbox may execute."""

    NEVER = "never"
    """The tool host locks execve for itself and all its children, for good."""
    ONCE = "once"
    """Each call's child gets exactly one execve, of one pinned file."""
    FREE = "free"
    """execve is allowed: the code capability."""


class Egress(StrEnum):
    """How traffic of a sandbox leaves."""

    NONE = "none"
    STRUCTURED = "structured"
    """Requests in clear over an already connected socket; the proxy makes the TLS."""
    TUNNEL = "tunnel"
    """A loopback port inside leads to the proxy; CONNECT is allowed."""


LATER = Path("later")
"""The source of a mount that is not there yet: the sandbox is made ahead, with a slot for it."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A prepared host directory that becomes ``/workspace``."""

    source: Path
    """Where the prepared view lies on the host, with its final mount flags already set."""
    read_only: bool
    """What ``source`` or ``volume`` is by itself; no runtime is asked to make it so."""
    uid: int
    """The unprivileged user that owns the view; the sandbox runs as this user. Never 0."""
    gid: int
    volume: str = ""
    """In place of ``source``, one of the engine's volumes: it may not see this host's folders."""
    volume_exec: bool = False
    """The volume is without ``noexec``. It has one set of flags for all sandboxes of a session."""

    @property
    def awaited(self) -> bool:
        """Whether the view comes later, into a slot."""
        return self.source == LATER


@dataclass(frozen=True, slots=True)
class ToolModule:
    """Python source that a sandbox may run: shipped with its hash, compiled inside."""

    name: str
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """Everything that decides what one sandbox can do."""

    capabilities: CapabilitySet
    exec: Exec
    egress: Egress
    mount: Mount | None
    image: str
    """Image id, ``sha256:...``: never a tag."""
    limits: Limits = field(default_factory=Limits)
    modules: tuple[ToolModule, ...] = ()
    domain: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        """Refuse a spec whose mechanisms do not amount to its capabilities."""
        amounts = set()
        if self.mount is not None:
            amounts.add(Capability.FILES)
        if self.egress is not Egress.NONE:
            amounts.add(Capability.INTERNET)
        if self.exec is Exec.FREE:
            amounts.add(Capability.CODE)
        if frozenset(amounts) != self.capabilities or len(amounts) > 2:
            raise SpecError(
                f"a sandbox with profile {show(self.capabilities)} cannot be made of mechanisms "
                f"that amount to {show(frozenset(amounts))}"
            )
        if self.egress is Egress.TUNNEL and self.exec is not Exec.FREE:
            raise SpecError("a tunnel needs the code capability; use structured egress")
        if self.mount is not None and self.mount.uid == 0:
            raise SpecError("a sandbox never runs as uid 0")
        if self.mount is not None and self.mount.volume:
            _check_volume(self.mount, self.exec)


def _check_volume(mount: Mount, execution: Exec) -> None:
    if mount.volume_exec and execution is Exec.ONCE:
        raise SpecError(
            "a vetted command cannot run here: the gateway cannot mount folders, so the workspace "
            "is one volume, and since code is among the grants it is not noexec; leave code out "
            "of the grants, or run the gateway as root on the engine's machine"
        )
    if mount.volume_exec is not (execution is Exec.FREE) and execution is Exec.FREE:
        raise SpecError("code needs a volume that was made without noexec")
