"""The records of a run's journal, as JSON and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...inference.messages import Message, Reply, ToolCall, Usage
from ...subagents.limits import Spent
from .journal import Record

BEGIN, REPLY, RESULT = "begin", "reply", "result"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run is of: it must be the same when it goes on."""

    run: str
    agent: Mapping[str, Any]
    """The agent's spec, as JSON, and the identities of its tools."""
    digest: str
    """Of ``agent``."""
    layer: str | None
    """Where its changes lie."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What a run has used, when a record was written."""

    spent: Spent
    seconds: float


def begin(origin: Origin, messages: Sequence[Message], meter: Meter) -> Record:
    """The whole conversation: the first record of a file."""
    return {
        "kind": BEGIN,
        "origin": asdict(origin),
        "messages": [_message(message) for message in messages],
        "meter": _meter(meter),
    }


def reply(given: Reply, meter: Meter) -> Record:
    """What the model said."""
    said = Message("assistant", given.content, given.tool_calls)
    return {"kind": REPLY, "message": _message(said), "meter": _meter(meter)}


def result(call: str, text: str, meter: Meter) -> Record:
    """What a call gave; ``call`` is its name in the ledger."""
    return {"kind": RESULT, "call": call, "text": text, "meter": _meter(meter)}


def origin_of(record: Record) -> Origin:
    """The origin in a file's first record."""
    return Origin(**record["origin"])


def meter_of(record: Record) -> Meter:
    """What was used up to a record."""
    read = record["meter"]
    spent = Spent(read["steps"], Usage(**read["usage"]), read["bytes_out"])
    return Meter(spent, read["seconds"])


def message_of(data: Mapping[str, Any]) -> Message:
    """A message as it was."""
    calls = tuple(ToolCall(*call) for call in data.get("calls", ()))
    return Message(data["role"], data["text"], calls, data.get("answers"))


def _message(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "text": message.content}
    if message.tool_calls:
        written["calls"] = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    if message.tool_call_id is not None:
        written["answers"] = message.tool_call_id
    return written


def _meter(meter: Meter) -> dict[str, Any]:
    return {
        "steps": meter.spent.steps,
        "usage": asdict(meter.spent.usage),
        "bytes_out": meter.spent.bytes_out,
        "seconds": round(meter.seconds, 3),
    }
