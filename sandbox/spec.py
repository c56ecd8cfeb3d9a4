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


@dataclass(frozen=True, slots=True)
class Mount:
    """A prepared host directory that becomes ``/workspace``."""

    source: Path
    """Where the prepared view lies on the host, with its final mount flags already set."""
    read_only: bool
    uid: int
    """The unprivileged user that owns the view; the sandbox runs as this user. Never 0."""
    gid: int


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
