"""A run's conversation as a fold over its records: the same while it runs and when it goes on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...inference.messages import Message, ToolCall
from ...subagents.limits import Spent
from . import records
from .journal import Record
from .records import Meter


@dataclass(slots=True)
class Conversation:
    """What was said so far, and what became of the calls of the newest reply."""

    messages: list[Message] = field(default_factory=list)
    """Up to the newest reply, and with it."""
    names: tuple[str, ...] = ()
    """What the calls of the newest reply are called in the ledger, in their order."""
    results: dict[str, str] = field(default_factory=dict)
    """What those calls gave that have ended, by that name."""
    meter: Meter = field(default_factory=lambda: Meter(Spent(), 0.0))

    def apply(self, record: Record, digest: str) -> None:
        """Go on by one record; ``digest`` vouches for it."""
        self.meter = records.meter_of(record)
        match record["kind"]:
            case records.BEGIN:
                self.messages = [records.message_of(data) for data in record["messages"]]
                self._calls_of_last(digest)
            case records.REPLY:
                self.messages += self._answers()
                self.messages.append(records.message_of(record["message"]))
                self._calls_of_last(digest)
            case records.RESULT:
                self.results[record["call"]] = record["text"]

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of the newest reply."""
        return self.messages[-1].tool_calls if self.messages else ()

    def news(self, asked: Sequence[Message]) -> dict[str, str] | None:
        """The results in ``asked`` that no record has yet; None where it does not go on from here.

        ``asked`` is what the model is to answer now.
        """
        known, answers = len(self.messages), list(asked[len(self.messages) :])
        if not known or list(asked[:known]) != self.messages or len(answers) != len(self.calls):
            return None
        found: dict[str, str] = {}
        for name, call, answer in zip(self.names, self.calls, answers, strict=True):
            if (answer.role, answer.tool_call_id) != ("tool", call.id):
                return None
            if self.results.get(name, answer.content) != answer.content:
                return None
            found[name] = answer.content
        return {name: text for name, text in found.items() if name not in self.results}

    def _answers(self) -> list[Message]:
        pairs = zip(self.names, self.calls, strict=True)
        return [Message("tool", self.results[n], tool_call_id=c.id) for n, c in pairs]

    def _calls_of_last(self, digest: str) -> None:
        self.results = {}
        self.names = tuple(_name(digest, number) for number in range(len(self.calls)))


def _name(digest: str, number: int) -> str:
    """A call's name in the ledger. It follows from the reply, so that it need not be written."""
    text = f"{digest}/{number}".encode()
    return f"call_{hashlib.sha256(text).hexdigest()[:16]}"
