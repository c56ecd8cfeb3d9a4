"""A switchboard: one half of a pair that carries a control socket over a single stream of bytes,
together with the sockets that are passed over it.

On one side stands the gateway, on the other the tool host, and neither knows: each has a unix
socket in its hand, and every socket that one passes arrives at the other as one end of a new pair.
The switchboard reads no call and no answer. One stream that nobody reads holds up no other, and
memory is bounded by a window per stream. When the bytes end, or are not what they must be,
everything ends.
"""

import select
import socket
import time

from .pipes import Bytes
from .stream import Piece, Stream
from .watch import Callback, Watch
from .wire import (
    CONTROL,
    CREDIT,
    DATA,
    END,
    SIGN,
    STOP,
    Message,
    Unpacker,
    WireError,
    pack,
    pack_credit,
    unpack_credit,
)

_FULL = 128 * 1024
"""Bytes on their way out above which no stream is read."""
_TOO_FULL = 4 * 1024 * 1024
"""Whoever lets so much pile up keeps sending, and reads nothing."""
_READS = 16
"""Reads of the byte stream in one round, before the others have their turn."""


class Switchboard:
    """What both halves have in common."""

    def __init__(self, line: Bytes, control: socket.socket) -> None:
        self._line = line
        self._unpacker = Unpacker()
        self._out = bytearray()
        self._control = Stream(CONTROL, control)
        self._streams = {CONTROL: self._control}
        self._newest = {0: CONTROL, 1: -1}
        """The last number of each parity: even ones are opened outside, odd ones inside."""
        self._watch = Watch()
        self._unread = False
        """The last round did not read all that had come."""
        self._over = False
        self.problem = ""
        """Why it ended, where that was not as it should."""

    def run(self) -> None:
        """Connect until one side ends."""
        try:
            while not self._over:
                self._round()
        except (WireError, OSError) as error:
            self.problem = str(error)
        finally:
            self._close()

    def _round(self) -> None:
        self._arrange()
        ready = self._watch.wait(0 if self._unread else SIGN)
        if self._unread:
            self._hear(select.POLLIN)
        for fd, events in ready:
            if self._over:
                return
            self._watch.tell(fd, events)
        self._look_at_the_clock(time.monotonic())
        if self._out:
            del self._out[: self._line.write(bytes(self._out))]
        if len(self._out) > _TOO_FULL:
            raise WireError("the other side reads nothing")

    def _arrange(self) -> None:
        """Say what is waited for in this round."""
        self._watch.begin()
        if self._out:
            self._watch.want(self._line.writing, select.POLLOUT)
        self._watch.want(self._line.reading, select.POLLIN, self._hear)
        self._arrange_more()
        for stream in self._streams.values():
            reads = stream.sends and len(self._out) < _FULL
            mask = (select.POLLIN if reads else 0) | (select.POLLOUT if stream.writes else 0)
            if mask:
                self._watch.want(stream.sock.fileno(), mask, self._attending(stream))

    def _arrange_more(self) -> None:
        """What else this half waits for."""

    def _look_at_the_clock(self, now: float) -> None:
        """What this half does from time to time."""

    def _attending(self, stream: Stream) -> Callback:
        def attend(events: int) -> None:
            if stream.writes and events & ~select.POLLIN:
                self._flush(stream)
            if stream.sends and events & ~select.POLLOUT and not stream.over:
                self._take(stream)

        return attend

    def _hear(self, events: int) -> None:
        """Do what the messages say that have come."""
        if not events & ~select.POLLOUT:
            return
        self._unread = False
        for _ in range(_READS):
            data = self._line.read()
            if data is None:
                return
            if not data:
                self._over = True
                return
            self._unpacker.feed(data)
            while (message := self._unpacker.take()) is not None:
                self._do(message)
        self._unread = True

    def _do(self, message: Message) -> None:
        kind, number, payload = message
        stream = self._streams.get(number)
        if kind == DATA:
            self._accept(self._known(stream, number), Piece(payload))
        elif kind == END:
            self._ended(self._known(stream, number))
        elif kind == CREDIT:
            if self._still(stream, number):
                self._known(stream, number).credited(unpack_credit(payload))
        elif kind == STOP:
            if self._still(stream, number):
                self._stopped(self._known(stream, number))
        else:
            self._do_more(message)

    def _do_more(self, message: Message) -> None:
        """A message that only one half takes."""
        raise WireError(f"kind {message.kind} goes the other way")

    def _known(self, stream: Stream | None, number: int) -> Stream:
        if stream is None:
            raise WireError(f"there is no stream {number}")
        return stream

    def _still(self, stream: Stream | None, number: int) -> bool:
        """Whether the stream is there. What was said about one that is over may cross its end."""
        if stream is None and number > self._newest[number % 2]:
            raise WireError(f"there was never a stream {number}")
        return stream is not None

    def _add(self, number: int, sock: socket.socket) -> Stream:
        """A new stream; numbers only grow."""
        if number <= self._newest[number % 2]:
            sock.close()
            raise WireError(f"stream {number} was there before")
        self._newest[number % 2] = number
        stream = self._streams[number] = Stream(number, sock)
        return stream

    def _accept(self, stream: Stream, piece: Piece) -> None:
        stream.accept(piece)
        self._flush(stream)

    def _flush(self, stream: Stream) -> None:
        try:
            if amount := stream.flush():
                self._say(CREDIT, stream, pack_credit(amount))
        except OSError:
            stream.stop_hearing()
            if not stream.heard_end:
                self._say(STOP, stream)
        if stream.heard_end and not stream.writes:
            stream.finish()
        self._settle(stream)

    def _take(self, stream: Stream) -> None:
        """Pass on what is said locally."""
        received = stream.receive()
        if received is None:
            return
        if received.data:
            self._say(DATA, stream, received.data)
        else:
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        if stream is self._control:
            self._over = True
        elif not stream.said_end:
            stream.said_end = True
            self._say(END, stream)
            self._settle(stream)

    def _ended(self, stream: Stream) -> None:
        if stream.heard_end:
            raise WireError(f"stream {stream.number} ended twice")
        stream.heard_end = True
        if stream is self._control:
            self._over = True
        self._flush(stream)

    def _stopped(self, stream: Stream) -> None:
        stream.stop_saying()
        self._end(stream)

    def _settle(self, stream: Stream) -> None:
        if stream.over and self._streams.pop(stream.number, None) is not None:
            self._watch.forget(stream.sock.fileno())
            stream.close()

    def _say(self, kind: int, stream: Stream, payload: bytes = b"") -> None:
        self._out += pack(kind, stream.number, payload)

    def _close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._line.close()
