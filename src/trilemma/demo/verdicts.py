"""Which layers stopped an attack, told from evidence: reasons, the ledger, and what came back."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from trilemma.demo.servers import LISTED
from trilemma.demo.story import Act
from trilemma.gateway.ledger.events import Kind, Recorded
from trilemma.policy.reasons import Reason

_RULE = frozenset({Reason.THIRD_CAPABILITY, Reason.OUTSIDE_GRANTS})


@dataclass(frozen=True, slots=True)
class Stop:
    """What held an order up."""

    layer: str
    detail: str


RULE = Stop("the rule", "code would be the third")
PATHS = Stop("kernel: openat2", "no path leads out")
EXECVE = Stop("kernel: execve lock", "no second program")
LAYER = Stop("layer", "waits for a person")


class Refusals:
    """What the ledger says about requests that wanted to leave, by call."""

    def __init__(self, events: Iterable[Recorded]) -> None:
        self._facts: dict[str, list[Mapping[str, Any]]] = {}
        for recorded in events:
            if recorded.event.kind is Kind.EGRESS_DENIED:
                decision = recorded.event.body["decision"]
                facts = {**decision["facts"]["egress"], "reasons": decision["reasons"]}
                self._facts.setdefault(recorded.event.call, []).append(facts)

    def of(self, call: str) -> Sequence[Mapping[str, Any]]:
        """The facts of a call's refused requests."""
        return self._facts.get(call, ())


def stops(acts: Sequence[Act], refusals: Refusals, *, layered: bool) -> tuple[Stop, ...]:
    """What stopped an attack, in order; empty where nothing did.

    ``layered`` says that what it changes lies in the layer alone.
    """
    found = dict.fromkeys(stop for act in acts for stop in _stops(act, refusals))
    if not found and layered:
        return (LAYER,)
    return tuple(found)


def _stops(act: Act, refusals: Refusals) -> Iterator[Stop]:
    if act.denied and _RULE & set(act.reasons):
        yield RULE
    for facts in refusals.of(act.call):
        yield _egress(act, facts)
    if act.name in ("read_file", "write_file") and "leads out of the workspace" in act.text:
        yield PATHS
    if act.name == "pick_mail" and _could_not_start(act):
        yield EXECVE


def _could_not_start(act: Act) -> bool:
    """Whether the vetted program says that the command in its expression did not start."""
    expression = json.loads(act.arguments)["expression"]
    command = expression.partition('|"')[2].removesuffix('"')
    return bool(command) and f"mpick: {command}: " in act.text and "[exit code" in act.text


def _egress(act: Act, facts: Mapping[str, Any]) -> Stop:
    host, method = facts["host"], facts["method"]
    if facts["reasons"] == [Reason.EGRESS_BUDGET]:
        return Stop("byte budget", f"{facts['bytes_out']} bytes, {facts['budget_left']} left")
    if host == LISTED:
        return Stop("list of hosts", f"{method} is not on it")
    if urlsplit(json.loads(act.arguments)["url"]).hostname != host:
        return Stop("list of hosts", "asked again on redirect")
    return Stop("list of hosts", "theirs is not on it")
