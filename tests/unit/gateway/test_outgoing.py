"""Bytes of one session on their way out: paid before they leave, given back only when over."""

from dataclasses import dataclass, field

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trilemma.gateway.outgoing import Outgoing
from trilemma.sandbox.egress.request import EgressOutcome, EgressRequest, Outcome
from trilemma.subagents.budget import Purse
from trilemma.subagents.limits import UNLIMITED, RunLimits

LIMIT = 300_000


def tunnel(host: str) -> EgressRequest:
    return EgressRequest("sandbox", host, 443, "tunnel", "CONNECT", 0, structured=False)


def ended(host: str, sent: int) -> EgressOutcome:
    return EgressOutcome(
        "sandbox", host, 443, "tunnel", "CONNECT", Outcome.DONE, 0, sent, 0, "192.0.2.1"
    )


def test_a_request_is_paid_or_does_not_leave() -> None:
    outgoing = Outgoing(Purse(RunLimits(bytes_out=100)))
    request = EgressRequest("call", "a.example", 443, "https", "GET", 60, structured=True)
    assert outgoing.pay(request)
    assert outgoing.left == 40
    assert not outgoing.pay(request)
    outgoing.give_back(request)
    assert outgoing.pay(request)


def test_where_nobody_limits_it_a_tunnel_gets_what_the_domain_has() -> None:
    outgoing = Outgoing(Purse(UNLIMITED))
    assert outgoing.left is None
    assert outgoing.open(tunnel("a.example"), 10**9) == 10**9
    outgoing.closed(ended("a.example", 5))


@dataclass
class Open:
    host: str
    may: int
    sent: int = field(default=0)


class Tunnels(RuleBasedStateMachine):
    """Several tunnels to few places, closed in any order: never more is out than was paid."""

    def __init__(self) -> None:
        super().__init__()
        self.purse = Purse(RunLimits(bytes_out=LIMIT))
        self.outgoing = Outgoing(self.purse)
        self.open: list[Open] = []
        self.sent = 0

    @rule(host=st.sampled_from(["a.example", "b.example"]))
    def connect(self, host: str) -> None:
        self.open.append(Open(host, self.outgoing.open(tunnel(host), 10**9)))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1))
    def send(self, data: st.DataObject, share: float) -> None:
        one = data.draw(st.sampled_from(self.open))
        count = int((one.may - one.sent) * share)
        one.sent += count
        self.sent += count

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        one = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.outgoing.closed(ended(one.host, one.sent))

    @invariant()
    def paid(self) -> None:
        may_still = sum(one.may - one.sent for one in self.open)
        assert self.sent + may_still <= LIMIT
        assert self.sent + may_still <= self.purse.spent.bytes_out
        if not self.open:
            assert self.purse.spent.bytes_out == self.sent


TestTunnels = Tunnels.TestCase
TestTunnels.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
