"""Forks writers on one ledger and kills them at random moments. Run by test_ledger_crash.py.

A writer notes each effect in a plain file, after it reserved the call and before it commits:
``call domain bits workspace``. What the ledger says is compared with these notes at the end.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trilemma.gateway.ledger.events import Event, Kind, Use
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.ledger.store import Ledger
from trilemma.policy.capability import CapabilitySet, from_bits, to_bits
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest, Act
from trilemma.policy.rule import violation
from trilemma.sandbox.runtime import Instance

DOMAINS = 12
WRITERS = 3


def decide(request: AccessRequest) -> Decision:
    broken = violation(request.held, request.taking, request.grants)
    return Decision(Verdict.DENY if broken else Verdict.ALLOW, (), "sha256:0", request.taking)


def write(folder: Path, name: str, dice: random.Random) -> None:
    """Do calls until killed."""
    notes = os.open(folder / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ledger = Ledger.open(folder / "ledger.db", anchor=folder / "anchor")
    if dice.random() < 0.5:  # Others write meanwhile, and some are killed while they do this.
        ledger.make_room()
    domain, layer = f"d{dice.randrange(DOMAINS)}", f"layer-{name}"
    event = partial(Event, domain=domain, session=name)
    ledger.append(event(kind=Kind.SESSION_OPENED, body={"instance": str(Instance.current())}))
    ledger.append_many(
        [
            event(kind=Kind.LAYER_CREATED, joins={layer: frozenset()}),
            event(kind=Kind.LAYER_OPENED, opens={layer: Use.WRITE}),
        ]
    )
    for number in range(10**9):
        call = f"{name}-{number}"
        if reserve(ledger, event, domain, call, from_bits(dice.randrange(8))):
            held = to_bits(ledger.held(domain).capabilities)
            os.write(notes, f"{call} {domain} {held} {layer}\n".encode())
            ledger.append(event(kind=Kind.CALL_COMMITTED, call=call))


def reserve(
    ledger: Ledger, event: Callable[..., Event], domain: str, call: str, needs: CapabilitySet
) -> bool:
    def build(held: Held) -> AccessRequest:
        return AccessRequest(Act.TOOL, "me", needs, held.capabilities, None)

    def record(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
        kind = Kind.CALL_RESERVED if decision.allowed else Kind.CALL_DENIED
        return event(kind=kind, call=call, takes=new)

    return ledger.reserve(domain, build, decide, record).decision.allowed


def start(folder: Path, number: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            write(folder, f"s{number}", random.Random(number))
        finally:
            os._exit(3)
    return child


def main(folder: Path, kills: int) -> None:
    """Keep some writers running; kill the oldest, again and again, until enough has happened."""
    dice = random.Random(kills)
    notes = folder / "effects"
    writers = [start(folder, number) for number in range(WRITERS)]
    for number in range(WRITERS, 50 * kills):
        if number > kills + WRITERS and notes.read_bytes().count(b"\n") > 2 * kills:
            break
        time.sleep(dice.uniform(0, 0.03))
        victim = writers.pop(0)
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"a writer ended by itself: {status}")
        writers.append(start(folder, number))
    for writer in writers:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
