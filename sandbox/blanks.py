"""Blanks: sandboxes that nobody has used yet, made ahead for whoever comes first."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from .base import Sandbox
from .spec import SandboxSpec
from .turns import Turns

_PAUSE = 0.1
"""Seconds before a blank is replaced, unless somebody waits for it: whoever took one is just about
to use it, and making the next takes all of a processor."""

Make = Callable[[SandboxSpec], Sandbox]


class Blank:
    """One, there or coming."""

    def __init__(self, future: Future[Sandbox], wanted: threading.Event) -> None:
        self.future = future
        self._wanted = wanted

    def hurry(self) -> None:
        """Somebody waits for it."""
        self._wanted.set()


def failed(future: Future[Sandbox]) -> bool:
    """Whether a sandbox was not made, or is gone. One that is coming has not failed."""
    if not future.done():
        return False
    return future.cancelled() or future.exception() is not None or future.result().lost


class Blanks:
    """The blanks of a pool, a few of each kind that was asked for. The pool holds its lock."""

    def __init__(self, make: Make, turns: Turns, *, each: int, most: int) -> None:
        """Hold ``each`` of a kind ready and ``most`` in all: the least recent kind gives way."""
        self._make = make
        self._turns = turns
        self._each = each
        self._most = most
        self._kinds: dict[SandboxSpec, list[Blank]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def coming(self) -> list[Future[Sandbox]]:
        """All of them."""
        return [blank.future for ready in self._kinds.values() for blank in ready]

    def take(self, kind: SandboxSpec) -> Blank | None:
        """One that is there or coming, never to be given back."""
        ready = self._kinds.get(kind, [])
        while ready:
            blank = ready.pop(0)
            if not failed(blank.future):
                blank.hurry()
                return blank
        return None

    def refill(self, kind: SandboxSpec, room: int) -> list[Blank]:
        """Begin to make what is missing of a kind, as far as there is room; who has to go for it.

        The kind is now the one that was asked for last.
        """
        ready = self._kinds.pop(kind, [])
        self._kinds = {kind: blanks for kind, blanks in self._kinds.items() if blanks}
        self._kinds[kind] = ready
        missing = min(self._each - len(ready), room)
        ready += [self._begin(kind) for _ in range(missing)]
        return [self.drop() for _ in range(len(self) - self._most)]

    def drop(self) -> Blank:
        """Give up one of the kind that was asked for longest ago. Only where there is one."""
        oldest = next(ready for ready in self._kinds.values() if ready)
        return oldest.pop(0)

    def drop_all(self) -> list[Blank]:
        """Give up every one."""
        return [self.drop() for _ in range(len(self))]

    def _begin(self, kind: SandboxSpec) -> Blank:
        wanted = threading.Event()

        def make() -> Sandbox:
            wanted.wait(_PAUSE)
            return self._make(kind)

        # All blanks are one party: whoever waits for a sandbox of their own has turns as well.
        return Blank(self._turns.submit("", make), wanted)
