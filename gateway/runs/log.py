"""What a session writes down while it runs, so that another can go on from there.

A reply is on disk before it counts as committed, and a result before its call does; the event that
commits them brings the digest of the journal along into the ledger, in the same transaction. So
what the ledger vouches for is there, and what is there and not vouched for does not count.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ...inference.messages import Message, Reply, ToolCall
from ...subagents.limits import Spent
from ..ledger.events import Event, Kind
from . import records
from .conversation import Conversation
from .journal import Journal, Record
from .places import RunPlace
from .records import Meter, Origin

Settle = Callable[[Sequence[Event]], None]
"""Records how something ended, and with it the events given, all or none."""


class Keeping(Protocol):
    """What a session tells about what it does. Blocking; safe from several threads."""

    def name(self, call: ToolCall) -> str | None:
        """What a call that the model asked for is called in the ledger; None where that is free."""
        ...

    def asked(self, messages: Sequence[Message]) -> None:
        """The model is about to be asked to go on from here."""
        ...

    def replied(self, reply: Reply, settle: Settle) -> None:
        """The model answered; ``settle`` records that."""
        ...

    def returned(self, call: str, text: str, settle: Settle) -> None:
        """A call ended; ``settle`` records that."""
        ...

    def close(self, stop: str) -> None:
        """The session ends."""
        ...


class NotKept:
    """Of a session that ends with its process, such as a child: its parent goes on."""

    def name(self, call: ToolCall) -> str | None:
        """Any name will do."""
        return None

    def asked(self, messages: Sequence[Message]) -> None:
        """Nothing is kept."""

    def replied(self, reply: Reply, settle: Settle) -> None:
        """Nothing is kept."""
        settle(())

    def returned(self, call: str, text: str, settle: Settle) -> None:
        """Nothing is kept."""
        settle(())

    def close(self, stop: str) -> None:
        """Nothing was kept."""


NOT_KEPT = NotKept()


class RunLog:
    """The keeping of one run by the session that works on it."""

    def __init__(
        self,
        place: RunPlace,
        origin: Origin,
        anchor: Callable[[Event], None],
        spent: Callable[[], Spent],
        *,
        journal: Journal | None = None,
        conversation: Conversation | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``anchor`` records an event of this session; ``spent`` says what the run has used."""
        self._place = place
        self._origin = origin
        self._anchor = anchor
        self._spent = spent
        self._journal = journal
        self._conversation = conversation or Conversation()
        self._clock = clock
        self._since = clock() - self._conversation.meter.seconds
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    @property
    def run(self) -> str:
        """The run's name."""
        return self._origin.run

    def name(self, call: ToolCall) -> str | None:
        """The name that follows from the reply in which the model asked for the call."""
        talk = self._conversation
        with self._lock:
            for name, asked in zip(talk.names, talk.calls, strict=False):
                if asked == call and name not in self._claimed | talk.results.keys():
                    self._claimed.add(name)
                    return name
        return None

    def asked(self, messages: Sequence[Message]) -> None:
        """Keep what no record has yet: results that ended without an event, a folded history.

        Raises:
            LedgerError: it cannot be written, so the model must not be asked.
        """
        with self._lock:
            news = self._conversation.news(messages) if self._journal else None
            if news is None:
                self._begin(messages)
                return
            for name, text in news.items():
                self._append(records.result(name, text, self._meter()))

    def replied(self, reply: Reply, settle: Settle) -> None:
        """Keep the reply.

        Raises:
            LedgerError: it cannot be written or recorded; nothing more may run.
        """
        with self._lock:
            self._claimed.clear()
            self._commit(records.reply(reply, self._meter()), settle)

    def returned(self, call: str, text: str, settle: Settle) -> None:
        """Keep what a call gave; a call that no reply asked for is none of the run's.

        Raises:
            LedgerError: it cannot be written or recorded; nothing more may run.
        """
        with self._lock:
            if call not in self._conversation.names:
                settle(())
                return
            self._commit(records.result(call, text, self._meter()), settle)

    def close(self, stop: str) -> None:
        """Say how the run ended, and let go of it."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()
            try:
                self._place.say(stop)
                if not self._place.status.resumable:
                    self._place.keep_only(None)
            finally:
                self._place.release()

    def _commit(self, record: Record, settle: Settle) -> None:
        # Under the lock, so that the ledger names the digests in the order of the records.
        try:
            self._append(record)
        except BaseException:
            # It happened, whether it can be kept or not.
            settle(())
            raise
        settle([self._event()])

    def _begin(self, messages: Sequence[Message]) -> None:
        record = records.begin(self._origin, messages, self._meter())
        journal = Journal.begin(self._place.next_segment(), record)
        if self._journal is not None:
            self._journal.close()
        self._journal = journal
        self._conversation.apply(record, journal.digest)
        self._anchor(self._event())
        # Only now: until the ledger vouches for the new one, the old one is what counts.
        self._place.keep_only(journal.path)

    def _append(self, record: Record) -> None:
        assert self._journal is not None, "a session asks its model before anything else"
        self._conversation.apply(record, self._journal.append(record))

    def _event(self) -> Event:
        assert self._journal is not None
        body = {"digest": self._journal.digest, "segment": self._journal.path.name}
        return Event(kind=Kind.RUN_CHECKPOINTED, call=self.run, what="run", body=body)

    def _meter(self) -> Meter:
        return Meter(self._spent(), self._clock() - self._since)
