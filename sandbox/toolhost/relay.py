"""The relay of a tunnel: a loopback port inside that leads to the egress proxy's socket.

It is a process of the call: it is there before the call's code and is killed with it.
"""

import asyncio
import os
import socket

from .errors import CallFailed
from .tunnel import ADDRESS, ENVIRONMENT

_CHUNK = 64 * 1024


def start(way_out: str) -> None:
    """Fork the relay; it listens when this returns, and this process's clients know of it."""
    os.environ.update(ENVIRONMENT)
    try:
        listener = socket.create_server(ADDRESS, backlog=64)
    except OSError as error:
        raise CallFailed(f"the way to the egress proxy cannot be opened: {error}") from None
    if os.fork() == 0:
        try:
            # The call's own descriptors are not the relay's.
            os.dup2(listener.detach(), 3)
            os.closerange(4, 0x7FFFFFFF)
            asyncio.run(_serve(socket.socket(fileno=3), way_out))
        finally:
            os._exit(0)
    listener.close()


async def _serve(listener: socket.socket, way_out: str) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _forward(reader, writer, way_out)

    server = await asyncio.start_server(forward, sock=listener)
    await server.serve_forever()


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way_out: str
) -> None:
    try:
        proxy_reader, proxy_writer = await asyncio.open_unix_connection(way_out)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, proxy_writer), _pump(proxy_reader, writer))
    writer.close()
    proxy_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()
