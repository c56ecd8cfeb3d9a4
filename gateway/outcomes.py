"""What a model reads after a call: the result, the error, or the explanation of a refusal."""

import json
from typing import Any

from ..policy.capability import CapabilitySet
from ..policy.explain import explain
from ..sandbox.base import CallError, CallResult
from ..subagents.outcome import ToolOutcome
from .ledger.store import Reservation


def returned(call: str, result: CallResult, held: CapabilitySet) -> ToolOutcome:
    """A call that ran. Its result carries everything that the domain holds."""
    if result.error is not None:
        return ToolOutcome(_error(result.error), ok=False, call_id=call, labels=held, held=held)
    return ToolOutcome(_text(result.value), call_id=call, labels=held, held=held)


def failed(call: str, error: CallError) -> ToolOutcome:
    """A call that did not run, or whose end nobody saw."""
    return ToolOutcome(_error(error), ok=False, call_id=call)


def refused(call: str, reservation: Reservation, text: str = "") -> ToolOutcome:
    """A call that was denied, with its explanation."""
    decision = reservation.decision
    return ToolOutcome(
        text or explain(reservation.request, decision),
        ok=False,
        denied=True,
        reasons=decision.reasons,
        call_id=call,
        held=reservation.request.held,
    )


def _error(error: CallError) -> str:
    return f"The call failed ({error.code}): {error.message}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() >= {"exit_code", "stdout", "stderr"}:
        return _program(value)
    return json.dumps(value, ensure_ascii=False, indent=1)


def _program(value: dict[str, Any]) -> str:
    """What a program printed, as a terminal would show it, and how it ended if not well."""
    parts = [str(value["stdout"])]
    if value["stderr"]:
        parts.append(f"[stderr]\n{value['stderr']}")
    if value.get("truncated"):
        parts.append("[the output was cut at the limit]")
    if value["exit_code"] != 0:
        parts.append(f"[exit code {value['exit_code']}]")
    return "\n".join(part for part in parts if part)
