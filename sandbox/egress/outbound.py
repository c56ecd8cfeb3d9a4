"""The other side of an exchange: one request out on a fresh connection, one response back."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

import h11

from .dial import CHUNK, Upstream
from .headers import HeaderField
from .request import EgressFailure, Outcome

LARGEST_HEAD = 64 * 1024
READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """The head of a response."""

    status: int
    fields: tuple[HeaderField, ...]


class Outbound:
    """One exchange with the other side. What it answers is hostile as well."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)

    async def send(
        self, method: str, path: str, fields: Iterable[HeaderField], body: bytes
    ) -> None:
        """Send the request."""
        headers = [(field.name, field.value) for field in fields]
        events: list[h11.Event] = [h11.Request(method=method, target=path, headers=headers)]
        if body:
            events.append(h11.Data(data=body))
        events.append(h11.EndOfMessage())
        raw = b"".join(self._http.send(event) or b"" for event in events)
        try:
            self._upstream.writer.write(raw)
            await self._upstream.writer.drain()
        except OSError:
            raise _broken("the connection was lost") from None

    async def response(self) -> OutboundResponse:
        """Read the head of the response; informational ones are passed over."""
        while isinstance(event := await self._event(), h11.InformationalResponse):
            if event.status_code == 101:
                raise _broken("it switched protocols unasked")
        if not isinstance(event, h11.Response):
            raise _broken("it closed the connection without an answer")
        fields = tuple(HeaderField(name, value) for name, value in event.headers)
        return OutboundResponse(event.status_code, fields)

    async def body(self) -> AsyncGenerator[bytes]:
        """The body, piece by piece; a body that ends early raises."""
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise _broken("its answer ended early")

    async def _event(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(READ_SECONDS):
                    self._http.receive_data(await self._upstream.reader.read(CHUNK))
        except h11.RemoteProtocolError:
            raise _broken("its answer is not HTTP/1.1, or ended early") from None
        except OSError:
            raise _broken("the connection was lost or stood still") from None
        return event


def _broken(what: str) -> EgressFailure:
    return EgressFailure(Outcome.BROKEN, 502, f"the other side failed: {what}")
