"""A tunnel: bytes both ways, counted, and the TLS name inside held to what was allowed."""

import asyncio

from .clienthello import HelloGate
from .dial import CHUNK, Upstream
from .inbound import Inbound
from .meter import Traffic


async def tunnel(inbound: Inbound, host: str, upstream: Upstream, traffic: Traffic) -> None:
    """Relay until both sides have finished. Nothing is read before it was counted out.

    Raises:
        EgressFailure: a budget is used up, or the TLS name inside is another host's.

    """
    early = await inbound.accept_tunnel()
    ways = [
        asyncio.ensure_future(_outward(inbound, early, HelloGate(host), upstream, traffic)),
        asyncio.ensure_future(_inward(inbound, upstream, traffic)),
    ]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _outward(
    inbound: Inbound, early: bytes, gate: HelloGate, upstream: Upstream, traffic: Traffic
) -> None:
    chunk = early or await inbound.raw_read()
    while chunk:
        if ready := gate.feed(chunk):
            traffic.send(len(ready))
            upstream.writer.write(ready)
            await upstream.writer.drain()
        chunk = await inbound.raw_read()
    upstream.writer.write_eof()


async def _inward(inbound: Inbound, upstream: Upstream, traffic: Traffic) -> None:
    while chunk := await upstream.reader.read(CHUNK):
        traffic.receive(len(chunk))
        await inbound.raw_write(chunk)
    inbound.raw_end()
