"""The channel against tool hosts that misbehave: real sockets, a hostile peer at the other end."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trilemma.errors import SandboxError, SandboxLost
from trilemma.policy.capability import NONE
from trilemma.sandbox.base import BuiltinEntry, CallError, CallResult, ModuleEntry, SandboxCall
from trilemma.sandbox.channel import Channel
from trilemma.sandbox.frames import Frame, FrameReader, encode, send
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec, ToolModule

SPEC = SandboxSpec(NONE, Exec.NEVER, Egress.NONE, None, "sha256:x", Limits(output=1000))
READY = {
    "type": "ready",
    "python": "3.11.2",
    "machine": "x86_64",
    "missing": [],
    "attempts": [{"name": "x", "expected": "refused", "outcome": "refused", "detail": "EPERM"}],
}

Call = Callable[[int, socket.socket, Frame], None]


class Peer:
    """A tool host that answers each call as the test says."""

    def __init__(self, answer: Call) -> None:
        self.control, self.gateway = socket.socketpair()
        self.answer = answer
        self.seen: list[Frame] = []
        self.cancelled = threading.Event()
        self.calls: list[threading.Thread] = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        reader = FrameReader(self.control, max_fds=8)
        with self.control:
            while True:
                try:
                    frame = reader.read()
                except OSError:
                    return
                if frame is None:
                    return
                self.seen.append(frame)
                match frame["type"]:
                    case "configure":
                        send(self.control, READY)
                    case "cancel":
                        self.cancelled.set()
                        self.ended(frame["call"], -9)
                    case _:
                        sock = socket.socket(fileno=reader.fds.popleft())
                        call = threading.Thread(target=self.called, args=(frame, sock))
                        self.calls.append(call)
                        call.start()

    def called(self, frame: Frame, sock: socket.socket) -> None:
        # The gateway may hang up at any time.
        with sock, contextlib.suppress(ConnectionError):
            request = FrameReader(sock).read()
            if request is not None:  # None: the line was handed over ahead, and no call came.
                self.answer(frame["call"], sock, request)

    def join(self) -> None:
        self.thread.join(10)
        for thread in self.calls:
            thread.join(10)

    def ended(self, call: int, status: int) -> None:
        send(self.control, {"type": "ended", "call": call, "status": status})


@pytest.fixture
def open_channel() -> Iterator[Callable[[Call], tuple[Channel, Peer]]]:
    opened: list[tuple[Channel, Peer]] = []

    def open(answer: Call) -> tuple[Channel, Peer]:
        peer = Peer(answer)
        channel = Channel(peer.gateway)
        opened.append((channel, peer))
        channel.configure(SPEC)
        return channel, peer

    yield open
    for channel, peer in opened:
        channel.close()
        peer.join()


def run(channel: Channel, seconds: float = 5, id: str = "c", **arguments: Any) -> CallResult:
    return channel.call(SandboxCall(id, BuiltinEntry("x"), arguments, seconds))


def failure(result: CallResult) -> CallError:
    assert result.error is not None, result
    return result.error


def test_a_call_travels_on_a_connection_of_its_own(open_channel: Any) -> None:
    channel, peer = open_channel(lambda _, sock, request: send(sock, {"value": request}))
    got = run(channel, a=1)
    assert got.value == {"entry": {"kind": "builtin", "name": "x"}, "arguments": {"a": 1}}
    assert peer.seen[1] == {"type": "call", "call": 1, "egress": False, "report": False}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"value": 1, "extra": 2},
        {"error": {"code": "timeout", "message": "forged"}},
        {"error": {"code": "cancelled", "message": "forged"}},
        {"error": {"code": "no_such_code", "message": ""}},
        {"error": {"code": "tool_error"}},
        {"error": "x"},
        {"error": {"code": ["tool_error"], "message": "x"}},
    ],
)
def test_an_answer_of_another_shape_is_an_error_of_the_tool(
    open_channel: Any, answer: Frame
) -> None:
    channel, peer = open_channel(lambda _, sock, request: send(sock, answer))
    got = run(channel)
    assert got.value is None
    assert failure(got).code == "tool_error"
    assert peer.cancelled.is_set(), "whoever answers nonsense is not left running"


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x02{]",
        b"\0\0\0\x01x",
        encode({"value": 1})[:-1] + b"\xff",
        b"\0\0\0\x09" + b"[" * 9,
    ],
)
def test_bytes_that_are_no_frame_are_an_error_of_the_tool(open_channel: Any, data: bytes) -> None:
    channel, _ = open_channel(lambda _, sock, request: sock.sendall(data))
    assert failure(run(channel)).code == "tool_error"


def test_an_answer_over_the_limit_is_not_read(open_channel: Any) -> None:
    channel, peer = open_channel(lambda _, sock, request: sock.sendall(b"\x7f\xff\xff\xff"))
    assert failure(run(channel)).code == "result_too_large"
    assert peer.cancelled.is_set()


def test_descriptors_in_an_answer_never_arrive(open_channel: Any) -> None:
    reading, writing = os.pipe()
    channel, _ = open_channel(lambda _, sock, request: send(sock, {"value": 1}, fds=[writing]))
    assert run(channel).value == 1
    os.close(writing)
    assert os.read(reading, 1) == b"", "the gateway holds a descriptor that a sandbox sent"
    os.close(reading)


def test_a_call_that_does_not_answer_is_killed_at_its_time(open_channel: Any) -> None:
    held: list[socket.socket] = []
    channel, peer = open_channel(lambda _, sock, request: held.append(sock.dup()))
    got = run(channel, seconds=0.05)
    assert failure(got).code == "timeout"
    assert peer.cancelled.is_set()
    assert 0.05 <= got.seconds < 5
    held[0].close()


def test_a_slow_trickle_does_not_extend_the_time(open_channel: Any) -> None:
    held: list[socket.socket] = []

    def trickle(_: int, sock: socket.socket, request: Frame) -> None:
        kept = sock.dup()
        held.append(kept)

        def go_on() -> None:
            kept.sendall(b"\0\0\0\x7f")
            while not peer.cancelled.wait(0.01):
                kept.sendall(b" ")

        threading.Thread(target=go_on).start()

    channel, peer = open_channel(trickle)
    assert failure(run(channel, seconds=0.1)).code == "timeout"
    held[0].close()


@pytest.mark.parametrize(
    ("status", "code"), [(-9, "out_of_memory"), (-11, "lost"), (3, "lost"), (0, "lost")]
)
def test_a_call_whose_process_dies_says_how(open_channel: Any, status: int, code: str) -> None:
    peer: Peer
    channel, peer = open_channel(lambda call, sock, request: peer.ended(call, status))
    assert failure(run(channel)).code == code


def test_endings_of_other_calls_are_not_taken_for_ones_own(open_channel: Any) -> None:
    def answer(call: int, sock: socket.socket, request: Frame) -> None:
        peer.ended(call + 1, -9)
        peer.ended(call, 3)

    channel, peer = open_channel(answer)
    assert failure(run(channel)).message.count("exit code 3")


def test_the_result_of_a_tool_of_ones_own_waits_until_its_process_is_gone(
    open_channel: Any,
) -> None:
    answered, may_end = threading.Event(), threading.Event()

    def answer(call: int, sock: socket.socket, request: Frame) -> None:
        send(sock, {"value": 1})
        answered.set()
        may_end.wait(10)
        peer.ended(call, 0)

    channel, peer = open_channel(answer)
    results: list[CallResult] = []
    call = SandboxCall("c", ModuleEntry("m", "f"), {}, 5)
    thread = threading.Thread(target=lambda: results.append(channel.call(call)))
    thread.start()
    assert answered.wait(10)
    thread.join(0.05)
    assert not results
    may_end.set()
    thread.join(10)
    assert results[0].value == 1
    assert peer.seen[1]["report"] is True


@pytest.mark.parametrize("nonsense", [b"\0\0\0\x02{]", encode({"type": "ended"}), b"\xff" * 8])
def test_a_tool_host_that_talks_nonsense_is_lost(open_channel: Any, nonsense: bytes) -> None:
    peer: Peer
    channel, peer = open_channel(lambda call, sock, request: peer.control.sendall(nonsense))
    with pytest.raises(SandboxLost):
        run(channel)


def test_a_tool_host_that_goes_away_is_lost(open_channel: Any) -> None:
    def answer(call: int, sock: socket.socket, request: Frame) -> None:
        with contextlib.suppress(OSError):
            peer.control.shutdown(socket.SHUT_RDWR)

    peer: Peer
    channel, peer = open_channel(answer)
    with pytest.raises(SandboxLost):
        run(channel)
    with pytest.raises(SandboxLost):
        run(channel)


def test_many_calls_at_once_each_get_their_own_answer(open_channel: Any) -> None:
    def answer(call: int, sock: socket.socket, request: Frame) -> None:
        kept = sock.dup()

        def later() -> None:
            with kept:
                if request["arguments"]["n"] % 3:
                    send(kept, {"value": request["arguments"]["n"]})
                else:
                    peer.ended(call, -11)

        threading.Thread(target=later).start()

    channel, peer = open_channel(answer)
    results: dict[int, CallResult] = {}

    def one(n: int) -> None:
        results[n] = run(channel, id=str(n), n=n)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == 60
    answered = {n: r for n, r in results.items() if r.error is None}
    assert all(result.value == n for n, result in answered.items())
    assert len(answered) == 40


def test_one_id_runs_once_at_a_time(open_channel: Any) -> None:
    running, go_on = threading.Event(), threading.Event()

    def answer(call: int, sock: socket.socket, request: Frame) -> None:
        running.set()
        go_on.wait(10)
        send(sock, {"value": 1})

    channel, _ = open_channel(answer)
    thread = threading.Thread(target=run, args=(channel,))
    thread.start()
    assert running.wait(10)
    with pytest.raises(SandboxError, match="running already"):
        run(channel)
    go_on.set()
    thread.join(10)
    assert run(channel).value == 1


def test_arguments_that_are_not_json_are_not_sent(open_channel: Any) -> None:
    channel, _ = open_channel(lambda _, sock, request: send(sock, {"value": 1}))
    got = run(channel, text="\ud800")
    assert failure(got).code == "bad_arguments"


@pytest.mark.parametrize(
    "ready",
    [
        {**READY, "attempts": []},
        {**READY, "type": "set"},
        {k: v for k, v in READY.items() if k != "attempts"},
        {**READY, "attempts": [{"name": "x"}]},
    ],
)
def test_a_tool_host_without_a_report_is_not_used(
    ready: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer(lambda *_: None)
    channel = Channel(peer.gateway)
    monkeypatch.setitem(globals(), "READY", ready)
    with pytest.raises(SandboxLost):
        channel.configure(SPEC)
    channel.close()
    peer.thread.join(10)


def test_a_tool_module_must_be_the_one_that_was_pinned() -> None:
    one, other = socket.socketpair()
    spec = SandboxSpec(
        NONE, Exec.NEVER, Egress.NONE, None, "x", modules=(ToolModule("m", "x = 1", "0" * 64),)
    )
    with one, other, pytest.raises(SandboxError, match="sha256"):
        Channel(one).configure(spec)


def test_the_next_call_finds_its_line_handed_over_already(open_channel: Any) -> None:
    channel, peer = open_channel(lambda call, sock, request: send(sock, {"value": call}))
    assert [run(channel).value for _ in range(5)] == [1, 2, 3, 4, 5]
    channel.close()
    peer.join()
    calls = [frame["call"] for frame in peer.seen if frame["type"] == "call"]
    assert calls == [1, 2, 3, 4, 5, 6], "one is ahead, and none was handed over twice"


def test_a_line_whose_process_ended_meanwhile_is_not_used(open_channel: Any) -> None:
    def answer(call: int, sock: socket.socket, request: Frame) -> None:
        send(sock, {"value": call})

    channel, peer = open_channel(answer)
    ended = threading.Event()
    serve = peer.called

    def dies_ahead(frame: Frame, sock: socket.socket) -> None:
        if frame["call"] == 2:
            sock.close()
            ended.set()
        else:
            serve(frame, sock)

    peer.called = dies_ahead
    assert run(channel).value == 1
    assert ended.wait(10)
    assert run(channel).value == 3


def test_closing_ends_the_line_that_no_call_used(open_channel: Any) -> None:
    channel, peer = open_channel(lambda call, sock, request: send(sock, {"value": call}))
    run(channel)
    channel.close()
    peer.join()
    assert not any(thread.is_alive() for thread in peer.calls)
