"""How a call was decided, from the ledger alone."""

import json
from collections.abc import Iterator
from typing import Any

from trilemma.cli import ledgers
from trilemma.cli.auditlog import event_line
from trilemma.cli.escape import block, line
from trilemma.cli.failure import Stop
from trilemma.cli.trees import place
from trilemma.gateway.ledger.accounts import owner
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.settings import Settings
from trilemma.policy.capability import show
from trilemma.policy.reasons import meaning


def explain(name: str) -> None:
    """Print everything that is known about a call or an event.

    Raises:
        Stop: the ledger knows no such call.
    """
    with ledgers.opened(Settings.from_environment()) as ledger:
        for text in _explanation(ledger, _events(ledger, name)):
            print(text)


def _events(ledger: Ledger, name: str) -> list[Recorded]:
    if name.isdecimal():
        found = ledger.event(int(name))
        if found is not None:
            return ledger.find_call(found.event.call) if found.event.call else [found]
    else:
        events = ledger.find_call(name)
        if events:
            return events
    raise Stop(f"the ledger knows no call {name!r}; 'trilemma audit show' lists them")


def _explanation(ledger: Ledger, events: list[Recorded]) -> Iterator[str]:
    for found in events:
        yield event_line(found).strip()
        yield from _decision(ledger, found)
        yield from _crossing(found)
        yield from _delegation(found)
    if events:
        yield from _place(ledger, events[0])


def _delegation(found: Recorded) -> Iterator[str]:
    """To whom a task was handed, where the call is one that hands one on."""
    body = found.event.body
    if "child" in body:
        yield f"    handed to: {line(body['agent'])} ({line(body['mode'])}), {line(body['child'])}"


def _place(ledger: Ledger, found: Recorded) -> Iterator[str]:
    """Whose call it was, up to the root of the tree."""
    session: str | None = found.event.session
    while session:
        opened = next(ledger.events(session=session, kind=Kind.SESSION_OPENED), None)
        if opened is None:
            return
        body = opened.event.body
        words = (f"called by {line(str(body.get('agent', '')))},", line(session), place(body))
        yield " ".join(word for word in words if word)
        session = body.get("parent")


def _crossing(found: Recorded) -> Iterator[str]:
    """What a crossing carried, between whom, and at whose expense."""
    body = found.event.body
    if found.event.kind not in (Kind.CROSSING_PASSED, Kind.CROSSING_REFUSED):
        return
    price = "free text, which carries labels" if body["free"] else f"{body['bits']} bits"
    yield f"    {body['direction']}:    {line(body['from'])} to {line(body['to'])}, {price}"
    if found.event.account:
        yield f"    charged: {line(' '.join(owner(found.event.account)))}, limit {body['limit']}"
    if body["failure"]:
        yield f"    failure: {line(body['failure'])}"
    if "explanation" in body:
        yield f"    refused: {line(body['explanation'])}"


def _decision(ledger: Ledger, found: Recorded) -> Iterator[str]:
    decision: dict[str, Any] = found.event.body.get("decision") or {}
    if not decision:
        return
    yield f"    verdict: {decision['verdict']}"
    for reason in decision["reasons"]:
        yield f"    reason:  {line(reason)}: {meaning(reason)}"
    yield f"    policy:  {line(decision['policy'])}"
    yield f"    facts:   {line(json.dumps(decision['facts'], sort_keys=True))}"
    yield from _causes(ledger, found)
    explanation = found.event.body.get("explanation")
    if explanation:
        yield "    what the model was told:"
        yield from (f"      {text}" for text in block(str(explanation)).split("\n"))


def _causes(ledger: Ledger, found: Recorded) -> Iterator[str]:
    """The events that had set what the domain held."""
    earlier = [
        each
        for each in ledger.events(domain=found.event.domain)
        if each.event.takes and each.seq < found.seq
    ]
    if not earlier:
        yield "    held before: nothing"
    for each in earlier:
        taken = show(each.event.takes)
        yield f"    held before: {taken} since event {each.seq}, {line(each.event.what)}, {each.at}"
