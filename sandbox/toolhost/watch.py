"""What a switchboard waits for, said anew in every round, and what is done when it comes."""

import select
from collections.abc import Callable
from contextlib import suppress

Callback = Callable[[int], None]
"""Takes the events that came, as ``poll`` names them."""


class Watch:
    """Descriptors, the events that are waited for, and whom to tell."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._known: dict[int, int] = {}
        """What the poll object waits for."""
        self._wanted: dict[int, int] = {}
        self._callbacks: dict[int, Callback] = {}

    def begin(self) -> None:
        """A new round: nothing is waited for yet."""
        self._wanted, self._callbacks = {}, {}

    def want(self, fd: int, events: int, callback: Callback | None = None) -> None:
        """Wait for these events as well. One descriptor has one callback."""
        self._wanted[fd] = self._wanted.get(fd, 0) | events
        if callback is not None:
            self._callbacks[fd] = callback

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Wait; each descriptor with the events that came."""
        for fd in self._known.keys() - self._wanted.keys():
            with suppress(KeyError):
                self._poll.unregister(fd)
        for fd, events in self._wanted.items():
            if self._known.get(fd) != events:
                self._poll.register(fd, events)
        self._known = dict(self._wanted)
        return self._poll.poll(1000 * seconds)

    def tell(self, fd: int, events: int) -> None:
        """Do what is to be done, unless the descriptor was forgotten in this round."""
        if (callback := self._callbacks.get(fd)) is not None:
            callback(events)

    def forget(self, fd: int) -> None:
        """Before it is closed: its number may be another's at once."""
        self._callbacks.pop(fd, None)
        if self._known.pop(fd, None) is not None:
            self._poll.unregister(fd)
