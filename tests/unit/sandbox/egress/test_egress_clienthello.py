"""The TLS name inside a tunnel, as real clients write it and as hostile ones do."""

import contextlib
import itertools
import ssl

import pytest
from hypothesis import given, strategies as st

from trilemma.sandbox.egress.clienthello import LARGEST_HELLO, HelloGate
from trilemma.sandbox.egress.request import EgressFailure


def hello(name: str | None) -> bytes:
    """The first flight of a real TLS client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


GOOD = hello("good.example")
EVIL = hello("evil.example")


@given(st.lists(st.integers(0, len(GOOD)), max_size=5))
def test_the_right_name_passes_whole_however_it_is_cut(cuts: list[int]) -> None:
    gate = HelloGate("good.example")
    edges = [0, *sorted(cuts), len(GOOD)]
    pieces = [GOOD[a:b] for a, b in itertools.pairwise(edges) if a != b]
    assert b"".join(gate.feed(piece) for piece in pieces) == GOOD
    assert gate.feed(b"later") == b"later"


@given(st.lists(st.integers(0, len(EVIL)), max_size=5))
def test_another_name_never_passes_however_it_is_cut(cuts: list[int]) -> None:
    gate = HelloGate("good.example")
    edges = [0, *sorted(cuts), len(EVIL)]
    *held, last = [EVIL[a:b] for a, b in itertools.pairwise(edges) if a != b]
    assert all(gate.feed(piece) == b"" for piece in held)
    with pytest.raises(EgressFailure):
        gate.feed(last)


def test_a_handshake_split_over_records_is_joined() -> None:
    body = EVIL[5:]
    split = b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
        for part in (body[:100], body[100:150], body[150:])
    )
    with pytest.raises(EgressFailure):
        HelloGate("good.example").feed(split)
    assert HelloGate("evil.example").feed(split) == split


def test_a_name_in_capitals_is_the_same_name() -> None:
    assert HelloGate("good.example").feed(hello("GOOD.example"))


def test_no_name_and_no_tls_pass() -> None:
    assert HelloGate("10.0.0.1").feed(hello(None))
    assert HelloGate("good.example").feed(b"SSH-2.0-x") == b"SSH-2.0-x"


def test_a_handshake_that_never_ends_is_refused() -> None:
    gate = HelloGate("good.example")
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\0" * (0x4000 - 4)
    for _ in range(LARGEST_HELLO // len(record)):
        assert gate.feed(record) == b""
    with pytest.raises(EgressFailure):
        gate.feed(record)


@given(st.binary(min_size=1, max_size=200))
def test_broken_handshakes_are_held_or_refused(junk: bytes) -> None:
    gate = HelloGate("good.example")
    with contextlib.suppress(EgressFailure):
        assert gate.feed(b"\x16" + junk) in (b"", b"\x16" + junk)


def test_an_alert_before_the_handshake_does_not_open_the_gate() -> None:
    with pytest.raises(EgressFailure):
        HelloGate("good.example").feed(b"\x15\x03\x01\x00\x02\x01\x00" + EVIL)
