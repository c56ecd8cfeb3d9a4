"""Acts on a real ledger by real threads, each with the time of its call and of its return."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.linear.checker import Operation
from tests.linear.latch import Act, Names

from trilemma.errors import WorkspaceError
from trilemma.gateway.enforcement import Actor, Enforcement, Entry, request
from trilemma.gateway.ledger.events import Event, Kind, Use
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.local import decision_point
from trilemma.policy.capability import NONE, CapabilitySet, parse
from trilemma.policy.decision import Decision
from trilemma.policy.operator import OperatorPolicy
from trilemma.policy.request import AccessRequest, Act as Kinds, ToolFacts, WorkspaceFacts

POINT = decision_point(OperatorPolicy())
CAPABILITIES = ("files", "internet", "code")
FILES = frozenset({"files"})


@dataclass(frozen=True)
class Gateway:
    """The part of a gateway that the latch is: enforcement and ledger."""

    enforcement: Enforcement
    grants: Mapping[str, Names]

    def do(self, act: Act) -> str:
        """Do it; the answer in one word."""
        ledger = self.enforcement.ledger
        match act.verb:
            case "held":
                return "+".join(sorted(ledger.held(act.domain).capabilities)) or "nothing"
            case "label":
                return "+".join(sorted(ledger.label(act.workspace) or NONE)) or "nothing"
            case "join":
                ledger.append(begun(act.workspace, act.names))
            case "close":
                closes = frozenset({act.workspace})
                self.enforcement.record(
                    self._actor(act), Event(kind=Kind.WORKSPACE_CLOSED, closes=closes)
                )
            case "take":
                return self._take(act)
            case "open":
                return self._open(act)
        return "done"

    def _take(self, act: Act) -> str:
        actor, needs = self._actor(act), parse(act.names)
        call = f"call-{time.monotonic_ns()}-{act.session}"
        entry = Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, "a tool", call=call)
        facts = ToolFacts("a tool", "sha256:0", declared=True)
        made = self.enforcement.reserve(
            actor, entry, lambda held: request(actor, held, Kinds.TOOL, needs, tool=facts)
        )
        return "allowed" if made.decision.allowed else "denied"

    def _open(self, act: Act) -> str:
        """As the registry of workspaces does it, without the folder."""
        actor, ledger = self._actor(act), self.enforcement.ledger
        denied = Event(kind=Kind.WORKSPACE_DENIED, domain=actor.domain, session=actor.session)
        facts = WorkspaceFacts(mode="direct", known=True)

        def build(held: Held) -> AccessRequest:
            label = ledger.label(act.workspace) or NONE
            needs = parse(act.names)
            return request(actor, held, Kinds.WORKSPACE, needs, label=label, workspace=facts)

        def event(made: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
            return opened(actor, act, new) if decision.allowed else denied

        try:
            made = ledger.reserve(actor.domain, build, self.enforcement.point.decide, event)
        except WorkspaceError:
            return "in use"
        return "allowed" if made.decision.allowed else "denied"

    def _actor(self, act: Act) -> Actor:
        granted = self.grants.get(act.domain)
        grants = None if granted is None else parse(granted)
        return Actor("user:me", act.domain, act.session, grants)


def opened(actor: Actor, act: Act, takes: CapabilitySet) -> Event:
    """The session has the workspace open from here on."""
    return Event(
        kind=Kind.WORKSPACE_OPENED,
        domain=actor.domain,
        session=actor.session,
        takes=takes,
        joins={act.workspace: actor.grants or NONE} if act.write else {},
        opens={act.workspace: Use.WRITE if act.write else Use.READ},
    )


def begun(workspace: str, names: Names) -> Event:
    """A folder is a workspace, or its owner says more about who wrote it."""
    joins = {workspace: parse(names)}
    return Event(kind=Kind.WORKSPACE_CREATED, workspace=workspace, joins=joins)


def record(
    ledger: Ledger, grants: Mapping[str, Names], threads: Sequence[Sequence[Act]], start: int
) -> list[Operation[Act]]:
    """Let each thread do its acts one after the other; all begin at ``start``."""
    gateway = Gateway(Enforcement(ledger, POINT), grants)
    seen: list[Operation[Act]] = []

    def work(acts: Sequence[Act]) -> None:
        while time.monotonic_ns() < start:
            time.sleep(0)
        for act in acts:
            invoked = time.monotonic_ns()
            answer = gateway.do(act)
            seen.append(Operation(act, answer, invoked, time.monotonic_ns(), act.session))

    workers = [threading.Thread(target=work, args=(acts,)) for acts in threads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if len(seen) != sum(map(len, threads)):
        raise AssertionError("a thread ended before its last act")
    return seen


def plan(seed: int) -> tuple[dict[str, Names], list[list[Act]]]:
    """Four threads of two acts, on two domains and two workspaces of this history alone."""
    dice = random.Random(seed)
    domains = [f"h{seed}-a", f"h{seed}-b"]
    grants = {d: frozenset(dice.sample(CAPABILITIES, 2)) for d in domains if dice.random() < 0.3}
    return grants, [[_act(dice, seed, domains, n) for _ in range(2)] for n in range(4)]


def _act(dice: random.Random, seed: int, domains: list[str], thread: int) -> Act:
    domain = domains[thread % 2] if dice.random() < 0.8 else domains[0]
    session = f"{domain}-{thread}"
    workspace = f"h{seed}-w{dice.randrange(2)}"
    names = frozenset({dice.choice(CAPABILITIES)})
    verb = dice.choice(["take", "take", "take", "open", "open", "close", "join", "held", "label"])
    match verb:
        case "take":
            return Act("take", domain, session, names=names)
        case "open":
            write = dice.random() < 0.6
            return Act("open", domain, session, workspace, FILES, write=write)
        case "close":
            return Act("close", domain, session, workspace)
        case "join":
            return Act("join", session=session, workspace=workspace, names=names)
        case "held":
            return Act("held", domain, session)
        case _:
            return Act("label", session=session, workspace=workspace)
