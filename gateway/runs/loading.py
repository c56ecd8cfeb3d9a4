"""From what was kept of a run, and the ledger, to where the run goes on."""

from dataclasses import dataclass, replace

from trilemma.errors import LedgerTampered, SpecError

from ...inference.messages import Usage
from ...subagents.limits import Spent
from ...subagents.progress import Progress
from ..ledger.events import Kind, Recorded
from ..ledger.store import Ledger
from . import records
from .conversation import Conversation
from .journal import Journal, entries
from .places import RunPlace
from .records import Origin

_UNKNOWN = (
    "The run was interrupted while this call was running, and nobody saw how it ended: it may have "
    "had its effect or not. It was not made again. Look first, then decide."
)
_LOST = (
    "The call was made and ended ({how}), but the run was interrupted before its result was kept. "
    "It was not made again."
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run that can go on."""

    origin: Origin
    principal: str
    domain: str
    progress: Progress
    conversation: Conversation
    journal: Journal


def load(place: RunPlace, ledger: Ledger) -> Loaded:
    """Find the newest checkpoint that the ledger vouches for.

    Whatever came after it does not count: it was never committed.

    Raises:
        SpecError: the run never came so far.
        LedgerTampered: what was kept is not what the ledger vouches for.
        LedgerError: it cannot be read or written.
    """
    run = place.status.run
    anchor = ledger.newest_of_call(run)
    if anchor is None or anchor.event.kind is not Kind.RUN_CHECKPOINTED:
        raise SpecError(f"run {run!r} ended before its first checkpoint; start a new one")
    path = place.path / str(anchor.event.body["segment"])
    origin, conversation, last = None, Conversation(), None
    try:
        for entry in entries(path):
            origin = origin or records.origin_of(entry.record)
            conversation.apply(entry.record, entry.digest)
            if entry.digest == anchor.event.body["digest"]:
                last = entry
                break
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _tampered(run, str(error)) from None
    if origin is None or last is None or origin.run != run:
        raise _tampered(run, "it was changed, swapped or rolled back")
    place.keep_only(path)
    return Loaded(
        origin,
        anchor.event.principal,
        anchor.event.domain,
        _progress(conversation, anchor, ledger),
        conversation,
        Journal.resume(path, last),
    )


def _progress(conversation: Conversation, anchor: Recorded, ledger: Ledger) -> Progress:
    answers = tuple(_answer(name, conversation, ledger) for name in conversation.names)
    spent = _spent_after(anchor, conversation.meter.spent, ledger)
    return Progress(tuple(conversation.messages), answers, spent, conversation.meter.seconds)


def _answer(name: str, conversation: Conversation, ledger: Ledger) -> str | None:
    """What the model reads about a call; None where it was never begun.

    The ledger's word counts: a result of which it does not know is none.
    """
    events = {recorded.event.kind: recorded.event for recorded in ledger.find_call(name)}
    if Kind.CALL_COMMITTED in events:
        how = "well" if events[Kind.CALL_COMMITTED].body.get("ok") else "with an error"
        return conversation.results.get(name, _LOST.format(how=how))
    if Kind.CALL_RESERVED in events:
        return _UNKNOWN
    if Kind.CALL_DENIED in events:
        return str(events[Kind.CALL_DENIED].body.get("explanation", "The call was refused."))
    return conversation.results.get(name)


def _spent_after(anchor: Recorded, spent: Spent, ledger: Ledger) -> Spent:
    """With what the run's sessions used after the checkpoint: it is not given back."""
    tree: dict[str, bool] = {}
    for recorded in ledger.events(after=anchor.seq):
        event = recorded.event
        if event.kind not in _COSTS or not _belongs(event.session, anchor.event.call, tree, ledger):
            continue
        if event.kind is Kind.MODEL_RESERVED:
            spent = replace(spent, steps=spent.steps + 1)
        elif event.kind is Kind.MODEL_COMMITTED:
            body = event.body
            usage = Usage(
                body.get("input_tokens", 0), body.get("output_tokens", 0), 0, body.get("usd", 0.0)
            )
            spent = replace(spent, usage=spent.usage + usage)
        else:
            spent = replace(spent, bytes_out=spent.bytes_out + event.charge)
    return spent


_COSTS = frozenset(
    {Kind.MODEL_RESERVED, Kind.MODEL_COMMITTED, Kind.EGRESS_ALLOWED, Kind.EGRESS_CLOSED}
)


def _belongs(session: str, run: str, known: dict[str, bool], ledger: Ledger) -> bool:
    """Whether a session worked on the run, or is one of those below such a one.

    Also one that died before a checkpoint of its own: what it used is used.
    """
    if session not in known:
        opened = ledger.session(session)
        body = {} if opened is None else opened.event.body
        root = body.get("tree", session)
        below = root != session and _belongs(root, run, known, ledger)
        known[session] = below or body.get("run") == run
    return known[session]


def _tampered(run: str, why: str) -> LedgerTampered:
    return LedgerTampered(
        f"run {run!r} cannot go on: what was kept of it is not what the ledger vouches for ({why})"
    )
