"""Trilemma: an agent runtime with one door. Files, internet, code: pick two."""

from typing import TYPE_CHECKING, Any

from trilemma.agent import Agent
from trilemma.children import child, mediated
from trilemma.errors import (
    Cancelled,
    Denied,
    EngineMissing,
    ImageMissing,
    LedgerError,
    LedgerTampered,
    LimitReached,
    ModelError,
    PolicyError,
    SandboxError,
    SandboxRefused,
    SpecError,
    TrilemmaError,
    WorkspaceError,
)
from trilemma.tool import tool

if TYPE_CHECKING:
    from trilemma.client import Client
    from trilemma.result import Result

__all__ = [
    "Agent",
    "Cancelled",
    "Client",
    "Denied",
    "EngineMissing",
    "ImageMissing",
    "LedgerError",
    "LedgerTampered",
    "LimitReached",
    "ModelError",
    "PolicyError",
    "Result",
    "SandboxError",
    "SandboxRefused",
    "SpecError",
    "TrilemmaError",
    "WorkspaceError",
    "child",
    "mediated",
    "tool",
]


def __getattr__(name: str) -> Any:
    # These two bring the schemas along, which a module that only declares tools does not need.
    if name == "Client":
        from trilemma.client import Client

        return Client
    if name == "Result":
        from trilemma.result import Result

        return Result
    raise AttributeError(f"module 'trilemma' has no attribute {name!r}")
