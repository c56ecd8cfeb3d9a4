"""The servers that models inside run on, and how each is told who calls.

All speak OpenAI's chat protocol, and each adds words of its own. What none of them needs is left
out: they get opaque names, and never a principal, a domain or a session of the ledger.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .messages import CallIdentity


class Engine(StrEnum):
    """The kinds of server."""

    SGLANG = "sglang"
    """SGLang, alone or behind its router ``smg``."""
    VLLM = "vllm"
    DYNAMO = "dynamo"
    """NVIDIA Dynamo's front end."""


@dataclass(frozen=True, slots=True)
class InsideServer:
    """A server within the trust boundary."""

    engine: Engine
    url: str
    """Up to and with ``/v1``."""


@dataclass(frozen=True, slots=True)
class Told:
    """What goes along with a request."""

    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def told(engine: Engine, identity: CallIdentity) -> Told:
    """An identity in the words of an engine."""
    match engine:
        case Engine.SGLANG:
            return _sglang(identity)
        case Engine.VLLM:
            return _vllm(identity)
        case Engine.DYNAMO:
            return _dynamo(identity)


def _sglang(identity: CallIdentity) -> Told:
    """The router keeps a session where its cache lies, by the first of two headers that it has.

    It hands on the second one alone, by which the engine prefers waiting calls of a tree that runs.
    Priority is said twice: the class is for the router's queue, the number for the engine's.
    """
    headers = {
        "x-session-id": identity.session,
        "x-smg-routing-key": identity.tree,
        "x-smg-priority": "interactive" if identity.priority > 0 else "default",
    }
    return Told(headers, {"priority": identity.priority, "cache_salt": identity.cache_salt})


def _vllm(identity: CallIdentity) -> Told:
    """Here the lower number goes first."""
    headers = {"x-session-id": identity.session}
    return Told(headers, {"priority": -identity.priority, "cache_salt": identity.cache_salt})


def _dynamo(identity: CallIdentity) -> Told:
    """A field that it does not know at the top of a request would be refused."""
    headers = {"x-dynamo-session-id": identity.session}
    if identity.parent:
        headers["x-dynamo-parent-session-id"] = identity.parent
    hints = {"priority": identity.priority}
    return Told(headers, {"nvext": {"agent_hints": hints, "cache_salt": identity.cache_salt}})
