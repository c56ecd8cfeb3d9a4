"""Budgets: who may spend how much, in a tree where everything is charged to all above as well.

**The bound.** A call of anybody in a tree begins only while no limit of its own purse, and of every
purse above, is used up. So a purse never counts more steps and more bytes out than its limit, and
of tokens and money it spends less than its limit plus what the model calls then under way use, for
what a call uses is known only afterwards. Delegating changes nothing of this.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trilemma.errors import Cancelled, LimitReached

from ..inference.messages import Usage
from .account import Account
from .amounts import KINDS, Kind, billionths, dollars, limit_of
from .limits import UNLIMITED, RunLimits, Spent, narrowest, tokens

_BEFORE_A_STEP: tuple[Kind, ...] = ("steps", "tokens", "usd")
_SMALL = 64 * 1024
"""Bytes that one tunnel may hold alone."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What may still be used. None where nobody here or above set a limit."""

    steps: int | None
    tokens: int | None
    usd: float | None
    seconds: float | None
    bytes_out: int | None


class Purse:
    """The budget of one session, held by the gateway. Safe to use from several threads.

    One that is made with a ``parent`` has limits of its own and draws on what the parent has; the
    limits of one that was carved are set aside in the parent, so that nobody else spends them.
    """

    def __init__(
        self,
        limits: RunLimits,
        parent: "Purse | None" = None,
        *,
        owner: str = "",
        spent: Spent | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self._owner = owner
        self._parent = parent
        self._clock: Callable[[], float] = parent._clock if parent else clock
        # One lock for the whole tree: a step is counted here and above at once.
        self._lock: threading.Lock = parent._lock if parent else threading.Lock()
        above = parent._accounts if parent else {}
        self._accounts: dict[Kind, Account] = {
            kind: Account(kind, limit_of(limits, kind), above.get(kind), owner) for kind in KINDS
        }
        self._usage = Usage()
        self._closed = False
        self.deadline = None if limits.seconds is None else self._clock() + limits.seconds
        """When its own time is over, by the tree's clock."""
        if spent is not None:
            self._start_from(spent)

    @property
    def spent(self) -> Spent:
        """What was used here and below."""
        with self._lock:
            steps, out = self._accounts["steps"].used, self._accounts["bytes_out"].used
            return Spent(steps, self._usage, out)

    def remaining(self) -> Remaining:
        """What may still be used, by the narrowest limit of this purse and those above."""
        with self._lock:
            left = {kind: account.left() for kind, account in self._accounts.items()}
            ends = [purse.deadline for purse in self._chain() if purse.deadline is not None]
            usd = None if left["usd"] is None else dollars(left["usd"])
            seconds = max(0.0, min(ends) - self._clock()) if ends else None
            return Remaining(left["steps"], left["tokens"], usd, seconds, left["bytes_out"])

    def begin_step(self) -> None:
        """Count one step here and in every purse above, or in none.

        Raises:
            LimitReached: a limit here or above is used up; the text says whose.
            Cancelled: the session, or one above, has ended.
        """
        with self._lock:
            self._see_open()
            for kind in _BEFORE_A_STEP:
                self._accounts[kind].see_left(1)
            self._see_prices()
            self._accounts["steps"].use(1)

    def check_time(self) -> None:
        """Before anything that costs only time.

        Raises:
            LimitReached: the time of this purse or of one above is over.
            Cancelled: the session, or one above, has ended.
        """
        with self._lock:
            self._see_open()

    def charge(self, usage: Usage) -> None:
        """Book what a model call used, here and above. Never refused: it has been spent."""
        with self._lock:
            for purse in self._chain():
                purse._usage += usage
            self._accounts["tokens"].use(tokens(usage))
            self._accounts["usd"].use(billionths(usage.cost_usd))

    def take_bytes(self, count: int) -> bool:
        """Book bytes before they leave; False, and nothing is booked, where too few are left."""
        with self._lock:
            account = self._accounts["bytes_out"]
            left = account.left()
            if self._over() or (left is not None and left < count):
                return False
            account.use(count)
            return True

    def hold_bytes(self, most: int) -> int:
        """Book what a tunnel may send; what it did not send is given back at its end.

        Where there is a limit, one tunnel gets half of what is left, so that others can open.
        """
        with self._lock:
            account = self._accounts["bytes_out"]
            left = account.left()
            held = most if left is None else min(most, max(left // 2, min(left, _SMALL)))
            held = 0 if self._over() else held
            account.use(held)
            return held

    def return_bytes(self, count: int) -> None:
        """Bytes that were booked and did not leave."""
        with self._lock:
            self._accounts["bytes_out"].use(-count)

    def carve(self, limits: RunLimits, own: RunLimits = UNLIMITED, *, owner: str = "") -> "Purse":
        """A purse for a child; what ``limits`` names is set aside here until it is closed.

        All else is drawn from here as it is used, within the child's ``own`` limits. Time cannot
        be set aside: the earlier end counts.

        Raises:
            LimitReached: less is left than was asked for; nothing stays set aside.
            Cancelled: the session, or one above, has ended.
        """
        child = Purse(narrowest(limits, own), self, owner=owner)
        named = [kind for kind in KINDS if getattr(limits, kind) is not None]
        with self._lock:
            self._see_open()
            try:
                for kind in named:
                    child._accounts[kind].carve()
            except LimitReached:
                child._give_back()
                raise
        return child

    def seal(self) -> None:
        """What was set aside for this purse stays so for good, used or not."""
        with self._lock:
            for account in self._accounts.values():
                account.seal()

    def close(self) -> None:
        """Give back what was set aside and not used, unless it is sealed.

        What is under way is still charged above.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._give_back()

    def _give_back(self) -> None:
        for account in self._accounts.values():
            account.give_back()

    def _start_from(self, spent: Spent) -> None:
        """A run that goes on has used this already."""
        self._usage = spent.usage
        used = (spent.steps, spent.tokens, billionths(spent.usage.cost_usd), spent.bytes_out)
        for account, amount in zip(self._accounts.values(), used, strict=True):
            account.use(amount)

    def _chain(self) -> "Iterator[Purse]":
        purse: Purse | None = self
        while purse is not None:
            yield purse
            purse = purse._parent

    def _see_open(self) -> None:
        for purse in self._chain():
            if purse._closed:
                raise Cancelled("the session has ended")
            if purse._late():
                text = f"the limit of {purse.limits.seconds:g} seconds{self._of(purse)} is used up"
                raise LimitReached("seconds", text)

    def _see_prices(self) -> None:
        for purse in self._chain():
            if purse.limits.usd is not None and not purse._usage.priced:
                raise LimitReached(
                    "usd",
                    f"the limit of ${purse.limits.usd:g}{self._of(purse)} cannot be kept: "
                    "a model has no known price",
                )

    def _over(self) -> bool:
        return any(purse._closed or purse._late() for purse in self._chain())

    def _late(self) -> bool:
        return self.deadline is not None and self._clock() >= self.deadline

    def _of(self, purse: "Purse") -> str:
        return f" of {purse._owner!r}" if purse is not self and purse._owner else ""
