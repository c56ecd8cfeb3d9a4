"""Values that cross between two domains: read by their type, counted in bits, charged for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from trilemma.errors import Denied, SpecError

from ..policy.reasons import Reason
from ..subagents.crossing.answers import FAILURES, answer_bits, ask_bits
from ..subagents.crossing.base import bits_for, digest
from ..subagents.crossing.compound import CrossingType
from .enforcement import Actor, Enforcement, new_id
from .ledger.accounts import owner, principal_account, workspace_account
from .ledger.events import Event, Kind
from .ledger.view import View

Direction = Literal["down", "up"]


@dataclass(frozen=True, slots=True)
class Ends:
    """Between whom a value crosses, and which workspaces can be heard of through it."""

    sender: Actor
    receiver: str
    """The session at the other end."""
    workspaces: frozenset[str] = frozenset()
    """Those that either end has open, by identity."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """Who pays: the principal and every workspace, each the whole price."""
        workspaces = map(workspace_account, sorted(self.workspaces))
        return (principal_account(self.sender.principal), *workspaces)


@dataclass(frozen=True, slots=True)
class Crossed:
    """A value that arrived."""

    id: str
    """Its events in the ledger have this as their call."""
    value: Any
    """In canonical form: what the receiver may see, and nothing else."""
    bits: int


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A value with its price, before anybody paid."""

    direction: Direction
    what: str
    value: Any
    bits: int
    type: str
    """Digest of its type."""
    free: bool = False
    failure: str = ""


class Crossings:
    """The one way for a value from one domain to another. Safe between threads and processes."""

    def __init__(self, enforcement: Enforcement, limit_bits: int) -> None:
        self._enforcement = enforcement
        self._limit = limit_bits

    def left(self, ends: Ends) -> int:
        """The bits that may still cross there: of the account that has least."""
        ledger = self._enforcement.ledger
        return max(0, self._limit - max(ledger.spent(account) for account in ends.accounts))

    def pass_down(self, ends: Ends, asks: CrossingType, value: Any, *, choices: int = 1) -> Crossed:
        """An ask, from a parent to the one of ``choices`` mediated children that it picked.

        Raises:
            CrossingError: it is no value of the type.
            Denied: the bits are used up (``crossing_capacity``).
            LedgerError: it cannot be recorded, so it does not cross.
        """
        bits = ask_bits(asks, choices)
        return self._pass(
            ends, _Parcel("down", "ask", asks.read(value), bits, asks.digest, asks.free)
        )

    def pass_up(self, ends: Ends, answers: CrossingType, value: Any, *, beside: int = 0) -> Crossed:
        """A child's answer, to its parent. Raises as :meth:`pass_down` does.

        ``beside`` are bits that its parent can learn besides.
        """
        bits = answer_bits(answers, beside)
        return self._pass(
            ends, _Parcel("up", "answer", answers.read(value), bits, answers.digest, answers.free)
        )

    def fail_up(
        self, ends: Ends, answers: CrossingType, failure: str, *, beside: int = 0
    ) -> Crossed:
        """That a child gave no answer: one of ``FAILURES``, at the price of an answer.

        Raises:
            SpecError: it is none of them.
            Denied, LedgerError: as :meth:`pass_down`.
        """
        if failure not in FAILURES:
            raise SpecError(f"{failure!r} is no failure; the failures are {', '.join(FAILURES)}")
        bits, name = answer_bits(answers, beside), answers.digest
        return self._pass(ends, _Parcel("up", "answer", failure, bits, name, answers.free, failure))

    def pass_choice(self, ends: Ends, index: int, of: int) -> Crossed:
        """Which of several children was first: a number below ``of``. Raises as the others do."""
        if not 0 <= index < of:
            raise SpecError(f"there is no child {index!r} among {of}")
        bits = max(1, bits_for(of))
        return self._pass(ends, _Parcel("up", "race", index, bits, digest({"race": of})))

    def _pass(self, ends: Ends, parcel: _Parcel) -> Crossed:
        crossing = new_id("crs")
        recorded = self._enforcement.ledger.transact(
            lambda view: self._events(view, _event(ends, parcel, crossing, self._limit), ends)
        )
        if recorded[0].event.kind is Kind.CROSSING_REFUSED:
            raise Denied(
                _refusal(parcel, self._limit),
                reasons=(str(Reason.CROSSING_CAPACITY),),
                call=crossing,
            )
        return Crossed(crossing, parcel.value, parcel.bits)

    def _events(self, view: View, event: Event, ends: Ends) -> Sequence[Event]:
        """One for each account, all or none: decided where nobody else can write."""
        if event.body["free"]:
            return [event]
        bits = int(event.body["bits"])
        used = {account: view.spent(account) for account in ends.accounts}
        if any(spent + bits > self._limit for spent in used.values()):
            body = {**event.body, "used": used, "explanation": _explained(bits, used, self._limit)}
            return [replace(event, kind=Kind.CROSSING_REFUSED, body=body)]
        return [_charged(event, account, bits) for account in used]


def _event(ends: Ends, parcel: _Parcel, crossing: str, limit: int) -> Event:
    return Event(
        kind=Kind.CROSSING_PASSED,
        principal=ends.sender.principal,
        domain=ends.sender.domain,
        session=ends.sender.session,
        call=crossing,
        what=parcel.what,
        body={
            "direction": parcel.direction,
            "from": ends.sender.session,
            "to": ends.receiver,
            "type": parcel.type,
            "value": digest(parcel.value),
            "failure": parcel.failure,
            "bits": parcel.bits,
            "limit": limit,
            "free": parcel.free,
        },
    )


def _charged(event: Event, account: str, bits: int) -> Event:
    kind, name = owner(account)
    workspace = name if kind == "workspace" else ""
    return replace(event, account=account, charge=bits, workspace=workspace)


def _refusal(parcel: _Parcel, limit: int) -> str:
    """For a model: how much others used is nothing that it should learn."""
    return (
        f"Refused: this {parcel.what} carries up to {parcel.bits} bits to another domain, and of "
        f"the {limit} bits that may ever cross there are not so many left.\n"
        "To go on: finish without it; ask with a narrower type; use an attenuated agent, which "
        "stays in this domain; or have the operator raise 'crossings: {bits: ...}' in the policy. "
        "`trilemma crossings` shows a person what is used and left."
    )


def _explained(bits: int, used: Mapping[str, int], limit: int) -> str:
    """For a person, in the ledger."""
    accounts = (
        f"{' '.join(owner(account))} has {max(0, limit - n)} left" for account, n in used.items()
    )
    return f"{bits} bits were to cross; of {limit} for each account {', '.join(accounts)}"
