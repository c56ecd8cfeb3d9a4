"""The interface of a sandbox, and what a call to it takes and gives."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from .spec import Mount, SandboxSpec

ErrorCode = Literal[
    "tool_error",
    "bad_arguments",
    "not_found",
    "timeout",
    "out_of_memory",
    "result_too_large",
    "lost",
    "cancelled",
]
"""A closed set: the sandboxed side never chooses what the trusted side does next."""


@dataclass(frozen=True, slots=True)
class BuiltinEntry:
    """A tool baked into the tool host, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class ModuleEntry:
    """A function of a shipped tool module."""

    module: str
    function: str


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A vetted command-line program: executed once, argv only, no shell."""

    executable: str
    """Absolute path inside the image."""
    sha256: str
    """Hash of the file; the call's child checks it before its one execve."""
    argv: tuple[str, ...]
    """Complete, beginning with argv[0]. Built by the gateway from typed arguments."""
    stdin: str | None = None


@dataclass(frozen=True, slots=True)
class CarryEntry:
    """A step of carrying a folder in or out: no tool, and never offered as one."""

    name: Literal["put", "list", "get"]


@dataclass(frozen=True, slots=True)
class SandboxCall:
    """One call, already decided. ``arguments`` are JSON values in their canonical form."""

    id: str
    entry: BuiltinEntry | ModuleEntry | CommandEntry | CarryEntry
    arguments: dict[str, Any]
    seconds: float
    egress: socket.socket | None = None
    """A connection to the domain's proxy for this call alone; ownership passes to the sandbox."""


@dataclass(frozen=True, slots=True)
class CallError:
    """Why a call failed. ``message`` is text from inside: shown, never interpreted."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call gave: a JSON value or an error."""

    value: Any = None
    error: CallError | None = None
    seconds: float = 0.0


class Sandbox(Protocol):
    """One running, verified container. Safe to call from several threads."""

    @property
    def id(self) -> str:
        """Container id."""
        ...

    @property
    def spec(self) -> SandboxSpec:
        """What it was asked to be, and was verified to be."""
        ...

    @property
    def exchange(self) -> Path:
        """The host's folder that it sees, read-only, as ``/run/trilemma``."""
        ...

    @property
    def uid(self) -> int:
        """The user it runs as, on the host as inside. Never 0."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it is gone: closed, or found dead under a call. It never comes back."""
        ...

    def call(self, call: SandboxCall) -> CallResult:
        """Run one call and wait for it.

        Blocking. A call that ends in an error of its own is a result, not an exception.

        Raises:
            SandboxLost: the container or its tool host is gone; the outcome is unknown.

        """
        ...

    def cancel(self, call_id: str) -> None:
        """Kill a running call and all it started; its ``call`` returns ``cancelled``."""
        ...

    def show(self, view: Mount) -> None:
        """Let a sandbox that awaits its workspace see it. Once, before the first call.

        Raises:
            SandboxLost: the sandbox was gone already.
            SandboxRefused: something else came with it; the sandbox was destroyed.
            SandboxError: it cannot be shown; the sandbox was destroyed.

        """
        ...

    def stop(self) -> None:
        """End everything that runs in it, and take its workspace away. Quick; never raises.

        What is left of the container itself, :meth:`close` removes.
        """
        ...

    def close(self) -> None:
        """Destroy the container. Never raises; closing twice is fine."""
        ...


class SandboxBackend(Protocol):
    """Something that makes sandboxes."""

    @property
    def late(self) -> bool:
        """Whether sandboxes can be made ahead of their workspace: see :meth:`Sandbox.show`."""
        ...

    def create(self, spec: SandboxSpec) -> Sandbox:
        """Make, start and verify one sandbox.

        Raises:
            EngineMissing: no engine answers.
            ImageMissing: the image is not on this machine; nothing is pulled.
            SandboxRefused: the container could do more than ``spec`` says; it was destroyed.
            SandboxError: anything else went wrong; nothing is left behind.

        """
        ...

    def close(self) -> None:
        """Destroy every sandbox this backend made. Never raises."""
        ...
