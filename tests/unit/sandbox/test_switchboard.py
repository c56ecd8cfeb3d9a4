"""Two switchboards: sockets arrive at the other side, and hostile bytes reach nothing."""

import os
import random
import select
import socket
import threading
import time
import tracemalloc
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from trilemma.sandbox.switchboard import Outside
from trilemma.sandbox.toolhost.frames import receive_fds
from trilemma.sandbox.toolhost.pipes import Pipes
from trilemma.sandbox.toolhost.stdio import Inside
from trilemma.sandbox.toolhost.stream import Piece, Stream
from trilemma.sandbox.toolhost.switchboard import Switchboard
from trilemma.sandbox.toolhost.wire import (
    ALIVE,
    CONTROL,
    CREDIT,
    DATA,
    END,
    MOST,
    OPEN,
    PASS,
    STOP,
    WINDOW,
    Unpacker,
    WireError,
    pack,
    pack_credit,
    pack_passed,
)


class Pair:
    """Both halves, each in a thread, over two pipes."""

    def __init__(self, exchange: Path | None = None) -> None:
        down, down_end = os.pipe()
        up, up_end = os.pipe()
        self.gateway, outside = socket.socketpair()
        self.host, inside = socket.socketpair()
        self.alive, self._ended = os.pipe()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("")  # The kernel chooses an abstract name.
        self.listener.listen(64)
        self.listener.setblocking(False)
        listener = self.listener if exchange is not None else None
        self.boards: list[Switchboard] = [
            Outside(Pipes(up, down_end), outside, exchange),
            Inside(Pipes(down, up_end), inside, self.alive, listener),
        ]
        self._threads = [threading.Thread(target=board.run) for board in self.boards]
        for thread in self._threads:
            thread.start()
        for sock in (self.gateway, self.host):
            sock.settimeout(10)

    def line(self) -> tuple[socket.socket, socket.socket]:
        """One end handed over as the gateway does it; the other as the tool host gets it."""
        ours, theirs = socket.socketpair()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [theirs.fileno()]))]
        self.gateway.sendmsg([b"call"], rights)
        theirs.close()
        data, fds = receive_fds(self.host, 4, 8)
        assert data == b"call"
        (fd,) = fds
        arrived = socket.socket(fileno=fd)
        for sock in (ours, arrived):
            sock.settimeout(10)
        return ours, arrived

    def close(self) -> None:
        self.gateway.close()
        self.host.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self.listener.close()
        os.close(self.alive)
        os.close(self._ended)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := sock.recv(65536)):
        data += piece
    return data


def test_bytes_go_both_ways_and_ends_arrive(pair: Pair) -> None:
    ours, theirs = pair.line()
    ours.sendall(b"question")
    assert receive(theirs, 8) == b"question"
    theirs.sendall(b"answer")
    theirs.close()
    assert ours.recv(100) == b"answer"
    assert ours.recv(100) == b""
    ours.close()


def test_one_end_may_go_on_after_the_other_said_all(pair: Pair) -> None:
    ours, theirs = pair.line()
    ours.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""
    theirs.sendall(b"late")
    assert ours.recv(100) == b"late"
    ours.close()
    theirs.close()


def test_whoever_writes_for_nobody_is_told(pair: Pair) -> None:
    ours, theirs = pair.line()
    ours.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        theirs.sendall(b"x" * WINDOW * 8)
    theirs.close()


def test_much_goes_through_whole(pair: Pair) -> None:
    ours, theirs = pair.line()
    data = random.Random(1).randbytes(5 * WINDOW + 17)
    for here, there in ((ours, theirs), (theirs, ours)):
        thread = threading.Thread(target=here.sendall, args=(data,))
        thread.start()
        assert receive(there, len(data)) == data
        thread.join()
    ours.close()
    theirs.close()


def test_a_stream_that_nobody_reads_holds_up_no_other_and_no_memory(pair: Pair) -> None:
    full, unread = pair.line()
    full.setblocking(False)
    sent = 0
    # All buffers on the way are full when nothing was taken for a while.
    while select.select([], [full], [], 0.3)[1]:
        sent += full.send(b"x" * 65536)
    assert sent < WINDOW + 2 * 1024 * 1024
    for _ in range(50):
        ours, theirs = pair.line()
        ours.sendall(b"through")
        assert receive(theirs, 7) == b"through"
        ours.close()
        theirs.close()
    assert len(receive(unread, sent)) == sent
    full.close()
    unread.close()


def test_many_streams_leave_nothing_behind(pair: Pair) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(300):
        ours, theirs = pair.line()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
        theirs.close()
        assert ours.recv(1) == b""
        ours.close()
    ours, theirs = pair.line()
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"
    ours.close()
    theirs.close()
    assert descriptors() < before + 20
    assert all(len(board._streams) < 10 for board in pair.boards)


def test_the_end_of_either_side_ends_everything(pair: Pair) -> None:
    ours, theirs = pair.line()
    pair.host.close()
    assert pair.gateway.recv(1) == b""
    assert ours.recv(1) == b""
    assert theirs.recv(1) == b""
    ours.close()
    theirs.close()


def test_what_is_opened_inside_reaches_this_sandboxs_proxy_alone(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.bind(str(tmp_path / "egress.sock"))
        proxy.listen()
        pair = Pair(tmp_path)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(pair.listener.getsockname())
        connection, _ = proxy.accept()
        client.sendall(b"GET")
        assert connection.recv(3) == b"GET"
        connection.sendall(b"200")
        connection.close()
        assert client.recv(3) == b"200"
        assert client.recv(3) == b""
        client.close()
        pair.close()


@pytest.mark.parametrize("signs", [True, False])
def test_a_gateway_that_says_nothing_counts_as_gone(
    monkeypatch: pytest.MonkeyPatch, signs: bool
) -> None:
    """Its signs of life keep a sandbox; the twin is one whose gateway gives none."""
    for place in ("toolhost.switchboard", "switchboard"):
        monkeypatch.setattr(f"trilemma.sandbox.{place}.SIGN", 0.02)
    monkeypatch.setattr("trilemma.sandbox.toolhost.stdio.SILENCE", 0.3)
    if not signs:
        monkeypatch.setattr(Outside, "_look_at_the_clock", lambda self, now: None)
    pair = Pair()
    ended = bool(select.select([pair.host], [], [], 1.0)[0])
    pair.close()
    assert ended is not signs
    assert bool(pair.boards[1].problem) is not signs


class Hostile:
    """One half, and whoever speaks to it instead of the other."""

    def __init__(self, *, outside: bool, exchange: Path | None = None) -> None:
        reading, self.write_end = os.pipe()
        self.read_end, writing = os.pipe()
        self.local, theirs = socket.socketpair()
        self.alive, self._ended = os.pipe()
        line = Pipes(reading, writing)
        self.board: Switchboard = (
            Outside(line, theirs, exchange) if outside else Inside(line, theirs, self.alive, None)
        )
        self._thread = threading.Thread(target=self.board.run)
        self._thread.start()

    def say(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self.write_end, data[:4096]) :]
        except BrokenPipeError:
            pass

    def end(self) -> str:
        """Hang up; why it ended."""
        os.close(self.write_end)
        self._thread.join(10)
        assert not self._thread.is_alive()
        os.close(self.read_end)
        self.local.close()
        os.close(self.alive)
        os.close(self._ended)
        return self.board.problem


def verdict(*messages: bytes, outside: bool, exchange: Path | None = None) -> str:
    hostile = Hostile(outside=outside, exchange=exchange)
    hostile.say(b"".join(messages))
    return hostile.end()


FORGED = {
    "data for a stream that is not there": pack(DATA, 2, b"x"),
    "an end of a stream that is not there": pack(END, 2),
    "credit for a stream that never was": pack(CREDIT, 2, pack_credit(1)),
    "a stop for a stream that never was": pack(STOP, 7),
    "credit for nothing that was sent": pack(CREDIT, CONTROL, pack_credit(1)),
    "credit without an amount": pack(CREDIT, CONTROL, b"\0"),
    "no credit at all": pack(CREDIT, CONTROL, pack_credit(0)),
    "a kind that is not there": b"\x09" + bytes(6),
    "a message that is too long": b"\x01" + bytes(4) + (MOST + 1).to_bytes(2, "big"),
    "an end that says something": pack(END, CONTROL, b"x"),
    "an opening by the gateway's number": pack(OPEN, 2),
    "empty data": pack(DATA, CONTROL),
    "a sign of life that says something": pack(ALIVE, CONTROL, b"x"),
}


@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.parametrize("message", FORGED.values(), ids=FORGED)
def test_what_is_forged_ends_everything(message: bytes, outside: bool) -> None:
    assert verdict(message, outside=outside)


def test_a_sandbox_opens_nothing_where_there_is_no_tunnel(tmp_path: Path) -> None:
    assert verdict(pack(OPEN, 1), outside=True)
    assert verdict(pack(OPEN, 1), outside=True, exchange=tmp_path) == ""


def test_a_sandbox_hands_nothing_over(tmp_path: Path) -> None:
    handed = pack(PASS, CONTROL, pack_passed((1,), b"x"))
    assert verdict(handed, outside=True, exchange=tmp_path)


def test_no_stream_is_opened_twice_or_without_end(tmp_path: Path) -> None:
    again = pack(OPEN, 1) + pack(END, 1) + pack(OPEN, 1)
    assert "was there before" in verdict(again, outside=True, exchange=tmp_path)
    many = b"".join(pack(OPEN, number) for number in range(1, 400, 2))
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.bind(str(tmp_path / "egress.sock"))
        proxy.listen(200)
        assert "more tunnels" in verdict(many, outside=True, exchange=tmp_path)


def test_more_than_the_window_is_not_taken() -> None:
    pieces = [pack(DATA, CONTROL, bytes(MOST)) for _ in range(WINDOW // MOST * 4)]
    # Nobody reads at the local end, so no credit is given for what its buffer does not hold.
    assert "more than it takes" in verdict(*pieces, outside=True)


def held(monkeypatch: pytest.MonkeyPatch, small: int) -> int:
    """Bytes of memory for each byte that came alone and is not read."""
    monkeypatch.setattr("trilemma.sandbox.toolhost.stream._SMALL", small)
    ours, theirs = socket.socketpair()
    stream = Stream(1, ours)
    tracemalloc.start()
    for _ in range(MOST):
        stream.accept(Piece(bytes(bytearray(b"x"))))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    stream.close()
    theirs.close()
    return taken // MOST


def test_a_window_takes_no_more_memory_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held(monkeypatch, 4096) < 2


def test_sabotage_each_of_many_pieces_costs_more_than_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert held(monkeypatch, 0) > 50


def test_whoever_never_reads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that opens and closes, and lets the answers pile up."""
    monkeypatch.setattr("trilemma.sandbox.toolhost.switchboard._TOO_FULL", 4_000)
    hostile = Hostile(outside=True, exchange=tmp_path)
    for number in range(1, 100_000, 2):
        hostile.say(pack(OPEN, number) + pack(END, number))
        while hostile._thread.is_alive() and (
            hostile.board._newest[1] < number or len(hostile.board._streams) > 30
        ):
            time.sleep(0)
        if not hostile._thread.is_alive():
            break
    assert "reads nothing" in hostile.end()


@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
@settings(max_examples=150, deadline=None)
def test_noise_never_gets_stuck_and_opens_nothing(pieces: list[bytes], outside: bool) -> None:
    hostile = Hostile(outside=outside)
    for piece in pieces:
        hostile.say(piece)
    hostile.end()
    assert set(hostile.board._streams) <= {CONTROL}


MESSAGES = st.builds(
    pack,
    st.sampled_from((DATA, PASS, OPEN, CREDIT, END, STOP, ALIVE)),
    st.integers(0, 9),
    st.one_of(st.just(b""), st.binary(max_size=12), st.integers(0, WINDOW).map(pack_credit)),
)


@given(st.lists(MESSAGES, max_size=30), st.booleans())
@settings(max_examples=150, deadline=None)
def test_messages_in_any_order_never_get_stuck(messages: list[bytes], outside: bool) -> None:
    hostile = Hostile(outside=outside)
    hostile.say(b"".join(messages))
    hostile.end()


@given(st.lists(MESSAGES, max_size=10), st.integers(1, 40))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], size: int) -> None:
    whole, cut = Unpacker(), Unpacker()
    data = b"".join(messages)

    def all_of(unpacker: Unpacker) -> Iterator[object]:
        try:
            while (message := unpacker.take()) is not None:
                yield message
        except WireError as error:
            yield str(error)

    whole.feed(data)
    expected = list(all_of(whole))
    found: list[object] = []
    for start in range(0, len(data), size):
        cut.feed(data[start : start + size])
        found += all_of(cut)
        if found and isinstance(found[-1], str):
            break
    assert found == expected
