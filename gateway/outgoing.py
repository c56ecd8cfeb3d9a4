"""The bytes that one session sends, paid out of its purse and of those above it."""

import threading

from ..sandbox.egress.request import EgressOutcome, EgressRequest
from ..subagents.budget import Purse

TUNNEL_SCHEME = "tunnel"


class Outgoing:
    """Pays for requests before they leave, and for tunnels while they are open."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self._lock = threading.Lock()
        self._tunnels: dict[tuple[str, str, int], list[int]] = {}

    @property
    def left(self) -> int | None:
        """What may still leave; None where no purse limits it."""
        return self._purse.remaining().bytes_out

    def pay(self, request: EgressRequest) -> bool:
        """Pay for what a request carries; False where too little is left."""
        return self._purse.take_bytes(request.bytes_out)

    def give_back(self, request: EgressRequest) -> None:
        """A request that was paid for does not leave."""
        self._purse.return_bytes(request.bytes_out)

    def open(self, tunnel: EgressRequest, most: int) -> int:
        """What a tunnel may send. It is paid for now; what was not sent comes back at its end."""
        held = self._purse.hold_bytes(most)
        with self._lock:
            self._tunnels.setdefault(_name(tunnel), []).append(held)
        return held

    def closed(self, outcome: EgressOutcome) -> None:
        """A tunnel has ended, also one that was refused."""
        with self._lock:
            held = self._tunnels.get(_name(outcome))
            if not held:
                return
            # Of several to one place the smallest: never is more given back than is over.
            held.sort(reverse=True)
            smallest = held.pop()
        self._purse.return_bytes(smallest - outcome.bytes_out)


def _name(of: EgressRequest | EgressOutcome) -> tuple[str, str, int]:
    return of.call, of.host, of.port
