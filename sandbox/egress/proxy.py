"""The proxy process of one domain. It holds no policy: it asks, and does what it is told."""

import asyncio
import importlib
import os
import socket
import ssl
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from .control import Control
from .dial import Dialer, Lookup, system_lookup
from .exchange import Exchange
from .frames import Attach, BadFrame, Configure, Frame, Listen, Revoke, Revoked
from .inbound import Inbound
from .meter import Meter
from .outgoing import Endpoint
from .reach import Reach
from .request import Mode
from .ways import Ways

MOST_CONNECTIONS = 64
"""At one time. More are closed as they come."""


class Proxy:
    """Serves the connections that the gateway hands over, until the gateway is gone."""

    def __init__(
        self,
        control: socket.socket,
        settings: Configure,
        tls: ssl.SSLContext,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._mode = settings.mode
        self._control = Control(control, self._take)
        self._ways = Ways(
            number=self._control.number,
            ask=self._control.ask,
            report=self._control.report,
            dialer=Dialer(Reach(settings.private), settings.hosts, tls, lookup),
            meter=Meter(settings.budget_bytes_out),
        )
        self._tasks: dict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._connections = 0

    async def run(self) -> None:
        """Serve until the control connection ends, then cut everything."""
        await self._control.lost
        await self._cut([task for tasks in self._tasks.values() for task in tasks])

    def _take(self, frame: Frame, descriptors: list[int]) -> None:
        """Act on a frame of the gateway. A socket comes with two of them, and with no other."""
        if isinstance(frame, Attach | Listen) and len(descriptors) == 1:
            sock = socket.socket(fileno=descriptors[0])
            sock.setblocking(False)
            serve = self._serve if isinstance(frame, Attach) else self._accept
            self._start(frame.call, serve(sock, frame.call))
        elif isinstance(frame, Revoke) and not descriptors:
            self._start("", self._revoke(frame.call))
        else:
            raise BadFrame("a control frame came with the wrong descriptors, or out of turn")

    def _start(self, call: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[call].add(task)
        task.add_done_callback(lambda done: self._ended(call, done))

    def _ended(self, call: str, task: asyncio.Task[None]) -> None:
        self._tasks[call].discard(task)
        if not self._tasks[call]:
            del self._tasks[call]

    async def _serve(self, sock: socket.socket, call: str) -> None:
        await self._connection(sock, Endpoint(call, structured=True))

    async def _accept(self, listener: socket.socket, call: str) -> None:
        with listener:
            if self._mode is not Mode.TUNNEL:
                return
            while True:
                sock, _ = await asyncio.get_running_loop().sock_accept(listener)
                self._start(call, self._connection(sock, Endpoint(call, structured=False)))

    async def _connection(self, sock: socket.socket, endpoint: Endpoint) -> None:
        if self._connections >= MOST_CONNECTIONS:
            sock.close()
            return
        self._connections += 1
        try:
            reader, writer = await asyncio.open_unix_connection(sock=sock)
            try:
                inbound = Inbound(reader, writer)
                while await Exchange(inbound, endpoint, self._ways).run():
                    pass
                writer.close()
            except BaseException:
                writer.transport.abort()
                raise
        finally:
            self._connections -= 1

    async def _revoke(self, call: str) -> None:
        while tasks := self._tasks.get(call):
            await self._cut(list(tasks))
        self._control.post(Revoked(call))

    async def _cut(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tls_context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


def _load_late_parts() -> None:
    """Import now what is otherwise imported at first use: by then it may be unreadable."""
    for name in ("concurrent.futures.thread", "encodings.idna", "idna"):
        importlib.import_module(name)


async def _run(control: socket.socket, settings: Configure, tls: ssl.SSLContext) -> None:
    await Proxy(control, settings, tls).run()


def main(descriptor: int) -> None:
    """Run the process over the control connection that it inherited."""
    from .confine import confine
    from .frames import LARGEST, TO_PROXY, Ready, decode, encode

    control = socket.socket(fileno=descriptor)
    settings = decode(control.recv(LARGEST), TO_PROXY)
    if not isinstance(settings, Configure):
        raise BadFrame("the first control frame does not configure")
    tls = _tls_context(settings.ca_file)
    _load_late_parts()
    confine()
    control.send(encode(Ready()))
    _silence()
    try:
        asyncio.run(_run(control, settings, tls))
    finally:
        # A lookup that hangs in a thread must not keep a proxy alive without its gateway.
        os._exit(0)


def _silence() -> None:
    """Nobody reads the standard error of a running proxy: it could fill and block."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
