"""Names: looked up only after the decision, every address checked, the checked one connected to."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from trilemma.sandbox.egress.addresses import Address, AddressClass
from trilemma.sandbox.egress.dial import Dialer, Upstream
from trilemma.sandbox.egress.reach import Reach
from trilemma.sandbox.egress.request import EgressFailure, Outcome

Make = Callable[..., Any]


class Resolver:
    """Answers from a list, one entry per question, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def __call__(self, host: str) -> list[str]:
        self.questions.append(host)
        return self.answers.pop(0)


def dialer(resolver: Resolver, *private: str, reach: Reach | None = None) -> Dialer:
    judge = reach or Reach(private)
    return Dialer(judge, {"fixed.example": "127.0.0.1"}, ssl.create_default_context(), resolver)


def dial(dialer: Dialer, host: str, port: int) -> str:
    async def connect() -> Upstream:
        upstream = await dialer.open(host, port, tls=False)
        upstream.cut()
        await asyncio.sleep(0)
        return upstream

    return str(asyncio.run(connect()).address)


def refused(dialer: Dialer, host: str, port: int) -> Outcome:
    with pytest.raises(EgressFailure) as failure:
        dial(dialer, host, port)
    return failure.value.outcome


def test_a_name_is_connected_to_at_the_address_that_was_checked(origin: Make) -> None:
    server = origin()
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    assert dial(dialer(resolver, "127.0.0.1"), "a.example", server.port) == "127.0.0.1"
    assert resolver.questions == ["a.example"]
    assert server.reached.wait(10)


def test_a_name_that_moves_to_a_private_address_is_refused(origin: Make) -> None:
    """Rebinding: the first answer is fine, the next one is not."""
    server = origin(address="127.0.0.2")
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    rebound = dialer(resolver, "127.0.0.1")
    assert refused(rebound, "a.example", server.port) is Outcome.UNREACHABLE
    assert refused(rebound, "a.example", server.port) is Outcome.ADDRESS_REFUSED
    assert server.connections == 0


class Blind(Reach):
    def refusal(self, address: Address, port: int) -> AddressClass | None:
        return None


def test_without_the_check_the_moved_name_is_reached(origin: Make) -> None:
    """Sabotage twin."""
    server = origin(address="127.0.0.2")
    resolver = Resolver(["127.0.0.2"])
    assert dial(dialer(resolver, reach=Blind(())), "a.example", server.port) == "127.0.0.2"
    assert server.reached.wait(10)


def test_one_refused_address_among_several_refuses_the_name(origin: Make) -> None:
    server = origin()
    resolver = Resolver(["127.0.0.1", "10.0.0.1"])
    mixed = dialer(resolver, "127.0.0.1")
    assert refused(mixed, "a.example", server.port) is Outcome.ADDRESS_REFUSED
    assert server.connections == 0


def test_the_next_address_is_tried_when_one_does_not_answer(origin: Make) -> None:
    server = origin(address="127.0.0.2")
    resolver = Resolver(["127.0.0.1", "127.0.0.2"])
    both = dialer(resolver, "127.0.0.1", "127.0.0.2")
    assert dial(both, "a.example", server.port) == "127.0.0.2"


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.1"])
def test_an_address_is_checked_and_never_looked_up(host: str) -> None:
    resolver = Resolver()
    assert refused(dialer(resolver), host, 80) is Outcome.ADDRESS_REFUSED
    assert resolver.questions == []


def test_a_fixed_name_is_checked_and_never_looked_up(origin: Make) -> None:
    server = origin()
    resolver = Resolver()
    assert refused(dialer(resolver), "fixed.example", server.port) is Outcome.ADDRESS_REFUSED
    assert dial(dialer(resolver, "127.0.0.1"), "fixed.example", server.port) == "127.0.0.1"
    assert resolver.questions == []


@pytest.mark.parametrize("answer", [[], ["nonsense"]])
def test_no_usable_answer_is_an_error(answer: list[str]) -> None:
    assert refused(dialer(Resolver(answer)), "a.example", 80) is Outcome.UNRESOLVED


def test_a_resolver_that_fails_is_an_error() -> None:
    async def broken(host: str) -> list[str]:
        raise socket.gaierror(-2, "unknown")

    failing = Dialer(Reach(()), {}, ssl.create_default_context(), broken)
    assert refused(failing, "a.example", 80) is Outcome.UNRESOLVED
