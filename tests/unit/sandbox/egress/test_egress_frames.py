"""Frames: exactly what is expected, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.sandbox.egress.frames import (
    LARGEST,
    TO_GATEWAY,
    TO_PROXY,
    Answer,
    Ask,
    Attach,
    BadFrame,
    Configure,
    Frame,
    Report,
    decode,
    encode,
)
from trilemma.sandbox.egress.request import (
    EgressAnswer,
    EgressOutcome,
    EgressRequest,
    Mode,
    Outcome,
)

REQUEST = EgressRequest("c", "h.example", 443, "https", "GET", 9, True)
OUTCOME = EgressOutcome("c", "h", 443, "https", "GET", Outcome.DONE, 200, 9, 9, "192.0.2.1")


@pytest.mark.parametrize(
    ("frame", "accepted"),
    [
        (Configure(Mode.TUNNEL, {"a": "10.0.0.1"}, ("10.0.0.0/8",), 5, ""), TO_PROXY),
        (Answer(3, EgressAnswer(True, "", 5, 6, {"A": "b"})), TO_PROXY),
        (Ask(3, REQUEST), TO_GATEWAY),
        (Report(3, OUTCOME), TO_GATEWAY),
    ],
)
def test_a_frame_arrives_as_it_was_sent(frame: Frame, accepted: tuple[type[Frame], ...]) -> None:
    assert decode(encode(frame), accepted) == frame


def test_a_frame_of_the_other_direction_is_refused() -> None:
    with pytest.raises(BadFrame, match="unexpected kind"):
        decode(encode(Attach("c")), TO_GATEWAY)
    with pytest.raises(BadFrame, match="unexpected kind"):
        decode(encode(Ask(1, REQUEST)), TO_PROXY)


ANSWER: dict[str, Any] = json.loads(encode(Answer(3, EgressAnswer(True, "", 5, 6))))


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"id": "3"},
        {"id": True},
        {"id": 3.0},
        {"answer": None},
        {"answer": {}},
        {"answer": {**ANSWER["answer"], "allow": 1}},
        {"answer": {**ANSWER["answer"], "allow": "true"}},
        {"answer": {**ANSWER["answer"], "more": 1}},
        {"answer": {**ANSWER["answer"], "headers": {"a": 1}}},
        {"kind": ["Answer"]},
    ],
)
def test_a_changed_frame_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        decode(json.dumps({**ANSWER, **change}).encode(), TO_PROXY)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'{"kind":"Attach","call":"a","call":"b"}',
        b'{"kind":"Attach"}',
        b"{" * 100_000,
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(raw, TO_PROXY)


@given(st.binary(max_size=100))
def test_junk_is_refused(raw: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(raw, TO_PROXY + TO_GATEWAY)


def test_an_oversized_frame_is_not_sent() -> None:
    with pytest.raises(BadFrame, match="at most"):
        encode(Attach("c" * LARGEST))
