"""The interface to a policy engine, and the strict reading of what one answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trilemma.errors import PolicyError

ENTRYPOINT = "data.trilemma.decision"

_REASON = re.compile(r"(?:organisation/)?[a-z][a-z0-9_]{0,63}")
_MAX_REASONS = 64


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What the policy says: allowed, allowed once a person approves, or neither; and why."""

    allow: bool
    approval: bool
    reasons: tuple[str, ...]
    """Reason codes, sorted. Empty exactly when ``allow`` is true."""


class PolicyEngine(Protocol):
    """Evaluates one policy. Safe to use from many threads."""

    @property
    def digest(self) -> str:
        """Digest of the policy: ``sha256:...``."""
        ...

    def evaluate(self, facts: Mapping[str, Any]) -> EngineAnswer:
        """Judge the facts of one act.

        Raises:
            PolicyError: there is no answer, or none that can be relied on.

        """
        ...


def read_answer(document: object) -> EngineAnswer:
    """Read the decision document that an engine produced, with no goodwill.

    Raises:
        PolicyError: it is undefined, contradicts itself, or is not of the agreed form.

    """
    if not isinstance(document, dict) or document.keys() != {"allow", "approval", "reasons"}:
        raise PolicyError(f"the policy's decision is not an answer: {_short(document)}")
    allow, approval, reasons = document["allow"], document["approval"], document["reasons"]
    if not isinstance(allow, bool) or not isinstance(approval, bool):
        raise PolicyError(f"the policy's decision is not true or false: {_short(document)}")
    if not isinstance(reasons, list) or len(reasons) > _MAX_REASONS:
        raise PolicyError(f"the policy's reasons are not a short list: {_short(reasons)}")
    for reason in reasons:
        if not isinstance(reason, str) or not _REASON.fullmatch(reason):
            raise PolicyError(f"the policy gave a reason that is no reason code: {_short(reason)}")
    if allow is bool(reasons) or (allow and approval):
        raise PolicyError(f"the policy's decision contradicts itself: {_short(document)}")
    return EngineAnswer(allow, approval, tuple(sorted(set(reasons))))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
