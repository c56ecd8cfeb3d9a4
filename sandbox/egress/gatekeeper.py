"""Answers the proxy's questions and takes its reports: the gateway's end of the control socket."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from trilemma.errors import SandboxError

from .frames import (
    LARGEST,
    TO_GATEWAY,
    Answer,
    Ask,
    BadFrame,
    Frame,
    Report,
    Revoked,
    decode,
    encode,
)
from .request import EgressAnswer, EgressOutcome, EgressRequest, Outcome

Decide = Callable[[EgressRequest], EgressAnswer]
Record = Callable[[EgressOutcome], None]

SEND_SECONDS = 5
LONGEST_REASON = 2000
DECISIONS_AT_ONCE = 8
MOST_UNDECIDED = 256
"""More than the proxy has connections: a proxy that asks for more is not ours any more."""

UNDECIDABLE = EgressAnswer(allow=False, reason_text="the request could not be decided: denied")


class Gatekeeper:
    """One thread that reads, a few that decide. Ends by calling ``on_lost``."""

    def __init__(
        self,
        control: socket.socket,
        decide: Decide,
        record: Record,
        on_lost: Callable[[], None],
    ) -> None:
        self._control = control
        self._decide = decide
        self._record = record
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._undecided: dict[int, EgressRequest] = {}
        self._allowed: dict[int, EgressRequest] = {}
        self._revoking: dict[str, list[threading.Event]] = {}
        self._lost = False
        # Threads that stay: a policy engine belongs to a thread, and loading one takes a while.
        self._deciding = ThreadPoolExecutor(DECISIONS_AT_ONCE, thread_name_prefix="egress-ask")
        timeout = struct.pack("ll", SEND_SECONDS, 0)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        self._thread = threading.Thread(target=self._read, name="egress", daemon=True)
        self._thread.start()

    def send(self, frame: Frame, passing: socket.socket | None = None) -> None:
        """Send a frame, with a socket where one goes with it.

        Raises:
            SandboxError: the proxy is gone.

        """
        descriptors = [] if passing is None else [passing.fileno()]
        try:
            with self._lock:
                socket.send_fds(self._control, [encode(frame)], descriptors)
        except OSError:
            raise SandboxError("the egress proxy of this domain is gone; nothing leaves") from None

    def revoked(self, call: str) -> threading.Event:
        """An event that is set when the proxy confirms the next revocation of ``call``."""
        event = threading.Event()
        with self._lock:
            if self._lost:
                event.set()
            else:
                self._revoking.setdefault(call, []).append(event)
        return event

    def hang_up(self) -> None:
        """Let the proxy end by itself, after its last reports."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def join(self, seconds: float) -> bool:
        """Wait for the last report; False when it did not come. Its own thread never waits."""
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _read(self) -> None:
        try:
            while raw := self._control.recv(LARGEST):
                self._take(decode(raw, TO_GATEWAY))
        except (OSError, BadFrame, Unrecorded):
            pass  # all the same: this proxy is not to be used any more
        finally:
            self._lose()

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Ask):
            self._begin(frame)
        elif isinstance(frame, Report):
            self._finish(frame)
        elif isinstance(frame, Revoked):
            with self._lock:
                events = self._revoking.pop(frame.call, [])
            for event in events:
                event.set()
        else:
            raise BadFrame("the proxy spoke out of turn")

    def _begin(self, ask: Ask) -> None:
        with self._lock:
            known = ask.id in self._undecided or ask.id in self._allowed
            if known or len(self._undecided) >= MOST_UNDECIDED:
                raise BadFrame("the proxy asks twice, or too much")
            self._undecided[ask.id] = ask.request
        try:
            self._deciding.submit(self._answer, ask)
        except RuntimeError:
            raise BadFrame("asked while this process ends") from None

    def _answer(self, ask: Ask) -> None:
        answer = self._decided(ask.request)
        with self._lock:
            # Reported as cut meanwhile, or the proxy is gone: nobody waits for the answer.
            if self._undecided.pop(ask.id, None) is None:
                return
            if answer.allow:
                self._allowed[ask.id] = _at_most(ask.request, answer)
        with contextlib.suppress(SandboxError):
            self.send(Answer(ask.id, answer))

    def _decided(self, request: EgressRequest) -> EgressAnswer:
        """The decision; whatever goes wrong on the way to it is a denial."""
        try:
            answer = self._decide(request)
            reason = answer.reason_text[:LONGEST_REASON]
            return replace(answer, allow=answer.allow is True, reason_text=reason)
        except Exception:
            return UNDECIDABLE

    def _finish(self, report: Report) -> None:
        with self._lock:
            asked = self._undecided.pop(report.id, None) or self._allowed.pop(report.id, None)
        if asked is None and report.id != 0:
            raise BadFrame("the proxy reports what it never asked")
        outcome = report.outcome
        if asked is not None:
            outcome = replace(
                outcome,
                call=asked.call,
                host=asked.host,
                port=asked.port,
                scheme=asked.scheme,
                method=asked.method,
            )
        self._write(outcome)

    def _write(self, outcome: EgressOutcome) -> None:
        try:
            self._record(outcome)
        except Exception as error:
            raise Unrecorded("a request's end cannot be recorded") from error

    def _lose(self) -> None:
        """The proxy is gone, or as good as gone. What it was allowed has an unknown end."""
        self._on_lost()
        self._deciding.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._lost = True
            events = [event for group in self._revoking.values() for event in group]
            lost = list(self._allowed.values())
            self._revoking.clear()
            self._undecided.clear()
            self._allowed.clear()
        for request in lost:
            with contextlib.suppress(Unrecorded):
                self._write(_lost(request))
        for event in events:
            event.set()


class Unrecorded(SandboxError):
    """The ledger did not take the end of a request. No audit, no action."""


def _at_most(request: EgressRequest, answer: EgressAnswer) -> EgressRequest:
    """The request with all the bytes that it may send: for a tunnel, what the answer gave it."""
    if request.scheme != "tunnel":
        return request
    return replace(request, bytes_out=answer.budget_bytes_out)


def _lost(request: EgressRequest) -> EgressOutcome:
    return EgressOutcome(
        call=request.call,
        host=request.host,
        port=request.port,
        scheme=request.scheme,
        method=request.method,
        outcome=Outcome.LOST,
        status=0,
        bytes_out=request.bytes_out,
        bytes_in=0,
        address="",
    )
