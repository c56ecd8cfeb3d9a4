"""Counting bytes against ceilings that are never passed."""

from dataclasses import dataclass

from .request import EgressFailure, Outcome


@dataclass(slots=True)
class Meter:
    """What may still leave through this process. Used from one thread."""

    left: int

    def take(self, amount: int) -> bool:
        """Take ``amount`` if it is there in full; otherwise nothing is taken."""
        if amount > self.left:
            return False
        self.left -= amount
        return True


class Traffic:
    """What one request has sent and received. Asked before each piece, not after."""

    def __init__(self, domain: Meter, may_send: int, may_receive: int) -> None:
        self.sent = 0
        self.received = 0
        self._domain = domain
        self._may_send = may_send
        self.may_receive = may_receive

    def send(self, amount: int) -> None:
        """Count bytes that are about to leave.

        Raises:
            EgressFailure: they may not.

        """
        if self.sent + amount > self._may_send or not self._domain.take(amount):
            raise EgressFailure(
                Outcome.BUDGET_USED, 403, f"the byte budget does not cover {amount} more bytes"
            )
        self.sent += amount

    def receive(self, amount: int) -> None:
        """Count bytes that are about to reach the sandbox.

        Raises:
            EgressFailure: they may not.

        """
        if self.received + amount > self.may_receive:
            raise EgressFailure(
                Outcome.TOO_LARGE, 502, f"the answer is larger than {self.may_receive} bytes"
            )
        self.received += amount
