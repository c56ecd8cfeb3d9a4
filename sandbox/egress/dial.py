"""Connecting out: resolve a name that was allowed, check every address, connect to those."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from .addresses import Address
from .reach import Reach
from .request import EgressFailure, Outcome

RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
TLS_SECONDS = 10.0
MOST_ADDRESSES = 4
CHUNK = 64 * 1024
"""Bytes read at once, on either side."""

Lookup = Callable[[str], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A connection to an address that was checked."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: Address

    def cut(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()


async def system_lookup(host: str) -> list[str]:
    """All addresses of a name, by the system's resolver."""
    # Bytes: a str would go through Python's older IDNA and come out changed.
    found = await asyncio.get_running_loop().getaddrinfo(
        host.encode("ascii"), None, type=socket.SOCK_STREAM
    )
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections for one domain. Called only for what was allowed."""

    reach: Reach
    hosts: Mapping[str, str]
    tls: ssl.SSLContext
    lookup: Lookup = system_lookup

    async def open(self, host: str, port: int, *, tls: bool) -> Upstream:
        """Connect to ``host``; its certificate is checked where ``tls`` is true.

        Raises:
            EgressFailure: no address, an address that is not allowed, or no connection.

        """
        addresses = await self._resolve(host)
        self._check(addresses, host, port)
        sock, address = await self._connect(addresses, host, port)
        try:
            reader, writer = await asyncio.open_connection(
                sock=sock,
                ssl=self.tls if tls else None,
                server_hostname=host if tls else None,
                ssl_handshake_timeout=TLS_SECONDS if tls else None,
            )
        except OSError as error:  # ssl.SSLError and TimeoutError are among them
            sock.close()
            raise EgressFailure(Outcome.TLS_FAILED, 502, _tls_text(host, error)) from None
        return Upstream(reader, writer, address)

    async def _resolve(self, host: str) -> list[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        if host in self.hosts:
            return [ip_address(self.hosts[host])]
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = [ip_address(text) for text in await self.lookup(host)]
        except (OSError, ValueError):
            found = []
        if not found:
            raise EgressFailure(Outcome.UNRESOLVED, 502, f"no address is known for {host!r}")
        return found

    def _check(self, addresses: list[Address], host: str, port: int) -> None:
        """Refuse the name when any of its addresses is refused: mixed answers are a trick."""
        for address in addresses:
            if (kind := self.reach.refusal(address, port)) is not None:
                raise EgressFailure(
                    Outcome.ADDRESS_REFUSED,
                    403,
                    f"{host!r} leads to an address that is not public ({kind}); "
                    "only the operator can open it, under egress.private",
                )

    async def _connect(
        self, addresses: list[Address], host: str, port: int
    ) -> tuple[socket.socket, Address]:
        for address in addresses[:MOST_ADDRESSES]:
            if (sock := await _try(address, port)) is not None:
                return sock, address
        raise EgressFailure(Outcome.UNREACHABLE, 502, f"no connection to {host!r} port {port}")


async def _try(address: Address, port: int) -> socket.socket | None:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except OSError:
        sock.close()
        return None
    except asyncio.CancelledError:
        sock.close()
        raise
    return sock


def _tls_text(host: str, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {host!r} does not hold: {error.verify_message}"
    return f"no TLS connection to {host!r}"
