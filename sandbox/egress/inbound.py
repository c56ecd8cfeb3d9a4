"""The sandbox's side of a connection: whole requests in, answers out, strictly HTTP/1.1."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

import h11

from .dial import CHUNK
from .headers import OUTCOME_FIELD, HeaderField
from .request import EgressFailure, Outcome

LARGEST_HEAD = 32 * 1024
LARGEST_BODY = 4 * 1024 * 1024
IDLE_SECONDS = 300.0

_METHOD = re.compile(rb"[A-Z]{1,16}")


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """One request, complete with its body."""

    method: str
    target: bytes
    fields: tuple[HeaderField, ...]
    body: bytes


class Inbound:
    """One connection from a sandbox. Everything that comes through it is hostile."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)

    async def next_request(self) -> InboundRequest | None:
        """Read one whole request; None when the sandbox has finished.

        Raises:
            EgressFailure: what came is not a request, or too large.

        """
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                return await self._read_request()
        except h11.RemoteProtocolError as error:
            raise EgressFailure(Outcome.MALFORMED, 400, f"not HTTP/1.1: {error}") from None
        except OSError:  # gone, or idle for too long
            return None

    async def _read_request(self) -> InboundRequest | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        if not _METHOD.fullmatch(head.method):
            raise EgressFailure(Outcome.MALFORMED, 400, "the method of a request is odd")
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise EgressFailure(
                    Outcome.TOO_LARGE, 413, f"a request body has at most {LARGEST_BODY} bytes"
                )
        if not isinstance(event, h11.EndOfMessage):
            return None
        fields = tuple(HeaderField(name, value) for name, value in head.headers)
        return InboundRequest(head.method.decode(), head.target, fields, bytes(body))

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(CHUNK))
        return event  # type: ignore[return-value]

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on this connection."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def begin(self, status: int, fields: Iterable[HeaderField]) -> None:
        """Send the head of an answer."""
        headers = [(field.name, field.value) for field in fields]
        await self._send(h11.Response(status_code=status, headers=headers))

    async def data(self, chunk: bytes) -> None:
        """Send a piece of the answer's body."""
        await self._send(h11.Data(data=chunk))

    async def end(self) -> None:
        """The answer is complete."""
        await self._send(h11.EndOfMessage())

    async def refuse(self, failure: EgressFailure) -> None:
        """Answer with what went wrong; where an answer has begun already, cut it short."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.cut()
            return
        text = f"{failure}\n".encode(errors="replace")
        fields = [
            HeaderField(b"content-type", b"text/plain; charset=utf-8"),
            HeaderField(b"content-length", str(len(text)).encode()),
            HeaderField(OUTCOME_FIELD.encode(), str(failure.outcome).encode()),
        ]
        if failure.outcome is Outcome.MALFORMED:
            # Where one request ends and the next begins is in doubt: no second one is read.
            fields.append(HeaderField(b"connection", b"close"))
        await self.begin(failure.status, fields)
        await self.data(text)
        await self.end()

    async def accept_tunnel(self) -> bytes:
        """Answer CONNECT with success; give what the sandbox has sent beyond it."""
        await self._send(h11.Response(status_code=200, headers=[]))
        return self._http.trailing_data[0]

    async def raw_read(self) -> bytes:
        """Bytes from inside the tunnel; empty when the sandbox has sent everything."""
        return await self._reader.read(CHUNK)

    async def raw_write(self, chunk: bytes) -> None:
        """Bytes into the tunnel."""
        self._writer.write(chunk)
        await self._writer.drain()

    def raw_end(self) -> None:
        """The other side has sent everything."""
        self._writer.write_eof()

    def cut(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    async def _send(self, event: h11.Event) -> None:
        if raw := self._http.send(event):
            self._writer.write(raw)
            await self._writer.drain()
