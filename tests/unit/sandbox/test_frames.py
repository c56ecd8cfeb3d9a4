"""Frames: what is sent arrives, and what is not a frame is refused."""

import json
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from trilemma.sandbox.frames import (
    MAX_DEPTH,
    FrameError,
    FrameReader,
    FrameTooLong,
    dumps,
    encode,
    loads,
    send,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@given(JSON)
def test_every_json_value_survives(value: object) -> None:
    assert loads(dumps(value)) == value


@given(st.lists(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON), max_size=3))
def test_frames_arrive_in_order_however_they_are_cut(frames: list[dict[str, object]]) -> None:
    one, other = socket.socketpair()
    with one, other:
        reader = FrameReader(other)
        got = []
        for byte in b"".join(map(encode, frames)):
            one.send(bytes([byte]))
            reader.feed()
            if (frame := reader.take()) is not None:
                got.append(frame)
    assert got == frames


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_json_or_refused(data: bytes) -> None:
    try:
        value = loads(data)
    except FrameError:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        '{"a":1e999}',
        '{"a":"\\ud800"}',
        '{"\\uDC00":1}',
        '["\\ud83d", "\\ude00"]',
        "{'a':1}",
        '{"a":01}',
        "",
        '{"a":1}{"b":2}',
        "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2),
        "[" * 100_000,
        '{"a":' + "9" * 5000 + "}",
        '"\x00"',
    ],
)
def test_loose_json_is_refused(text: str) -> None:
    with pytest.raises(FrameError):
        loads(text.encode())


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(FrameError):
        loads(b'{"a":"\xff"}')
    with pytest.raises(FrameError):
        loads(b'{"a":"\xed\xa0\x80"}')  # A surrogate, as CESU-8 would write it.


def test_a_proper_pair_of_surrogate_escapes_is_text() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1, 2}, b"x"])
def test_what_is_not_json_is_not_sent(value: object) -> None:
    with pytest.raises(FrameError):
        dumps({"value": value})


def test_a_frame_is_an_object(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    one.sendall(len(b"[1]").to_bytes(4, "big") + b"[1]")
    with pytest.raises(FrameError, match="object"):
        FrameReader(other).read()


def test_a_length_over_the_limit_is_refused_before_it_is_read(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    one.sendall((1001).to_bytes(4, "big"))
    with pytest.raises(FrameTooLong, match="1001 bytes"):
        FrameReader(other, limit=1000).read()


def test_a_frame_over_the_limit_is_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(FrameTooLong):
        send(pair[0], {"value": "x" * 100}, limit=100)


def test_an_end_between_frames_is_an_end_and_within_one_an_error(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    send(one, {"a": 1})
    one.sendall(b"\0\0\0\x09{")
    one.shutdown(socket.SHUT_WR)
    reader = FrameReader(other)
    assert reader.read() == {"a": 1}
    with pytest.raises(FrameError, match="within"):
        reader.read()


def test_descriptors_come_with_their_frame(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    reading, writing = os.pipe()
    send(one, {"a": 1}, fds=[writing])
    os.close(writing)
    reader = FrameReader(other, max_fds=2)
    assert reader.read() == {"a": 1}
    (got,) = reader.fds
    assert not os.get_inheritable(got)
    os.write(got, b"x")
    assert os.read(reading, 1) == b"x"
    os.close(got)
    os.close(reading)


def test_descriptors_that_nobody_asked_for_are_closed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    reading, writing = os.pipe()
    send(one, {"a": 1}, fds=[writing])
    os.close(writing)
    assert FrameReader(other).read() == {"a": 1}
    assert os.read(reading, 1) == b"", "the passed writing end is still open somewhere"
    os.close(reading)
