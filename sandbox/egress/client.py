"""The gateway's handle of one domain's egress proxy."""

import contextlib
import socket
import threading
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from trilemma.errors import SandboxError, SpecError

from .frames import Attach, Configure, Listen, Revoke
from .gatekeeper import Decide, Gatekeeper, Record
from .hosts import canonical_host
from .listener import bind_listener
from .process import ProxyProcess, start_process
from .reach import parse_exemption
from .request import Mode

REVOKE_SECONDS = 5.0
CLOSE_SECONDS = 2.0
LONGEST_CALL = 200


class EgressProxy:
    """The proxy process of one domain: asks ``decide`` before each request, and ends with this.

    Thread-safe. ``decide`` runs in a few threads, ``record`` in one. When either
    raises, nothing leaves: a request that cannot be decided is denied, and a proxy whose
    requests cannot be recorded is ended. A proxy that died is not started again by itself.
    """

    def __init__(self, process: ProxyProcess, mode: Mode, decide: Decide, record: Record) -> None:
        self._process = process
        self._mode = mode
        self._lock = threading.Lock()
        self._paths: dict[str, list[Path]] = {}
        self._gatekeeper = Gatekeeper(process.control, decide, record, process.end)

    @classmethod
    def start(
        cls,
        *,
        decide: Decide,
        record: Record,
        budget_bytes_out: int,
        mode: Mode = Mode.STRUCTURED,
        hosts: Mapping[str, str] | None = None,
        private: tuple[str, ...] = (),
        ca_file: Path | None = None,
    ) -> Self:
        """Start a proxy process.

        Args:
            decide: asked before each request; nothing is resolved or sent before it allows.
            record: told how each request ended that ``decide`` allowed or never saw.
            budget_bytes_out: what may leave through this process in all.
            mode: TUNNEL where listening sockets with CONNECT may be offered as well.
            hosts: names with a fixed address, which no resolver is asked about.
            private: addresses and ranges beside the public ones that may be connected to.
            ca_file: certificates to trust besides the system's.

        Raises:
            SpecError: ``hosts`` or ``private`` hold something that is not an address.
            SandboxError: the process did not start.

        """
        for text in private:
            parse_exemption(text)
        settings = Configure(
            mode=mode,
            hosts=_fixed(hosts or {}),
            private=tuple(private),
            budget_bytes_out=budget_bytes_out,
            ca_file=str(ca_file.absolute()) if ca_file else "",
        )
        return cls(start_process(settings), mode, decide, record)

    @property
    def pid(self) -> int:
        """Process id of the proxy."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once the proxy died or was closed: then nothing leaves any more."""
        return self._process.running

    def connect(self, call: str) -> socket.socket:
        """A connection for one call, to be handed into its sandbox. Structured requests only.

        Raises:
            SandboxError: the proxy is gone.

        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._gatekeeper.send(Attach(_named(call)), theirs)
        except BaseException:
            ours.close()
            raise
        return ours

    def listen(self, path: Path, *, call: str, uid: int | None = None) -> None:
        """Accept connections at ``path``, CONNECT included, all in the name of ``call``.

        Only ``uid`` may connect; without it, whoever can reach ``path``.

        Raises:
            SandboxError: this domain has no tunnels, or the socket cannot be made.

        """
        if self._mode is not Mode.TUNNEL:
            raise SandboxError("this domain's egress is structured: it has no tunnels")
        with bind_listener(path, uid) as listener:
            with self._lock:
                self._paths.setdefault(_named(call), []).append(path)
            self._gatekeeper.send(Listen(call), listener)

    def revoke(self, call: str) -> None:
        """Cut all that belongs to ``call``. When it returns, nothing of it leaves any more.

        Never raises; a proxy that does not confirm is ended.
        """
        cut = self._gatekeeper.revoked(call)
        try:
            self._gatekeeper.send(Revoke(call))
            confirmed = cut.wait(REVOKE_SECONDS)
        except SandboxError:
            confirmed = False
        if not confirmed:
            self.close()
        self._unlink(call)

    def close(self) -> None:
        """End the proxy; all its connections are cut. Never raises; closing twice is fine."""
        self._gatekeeper.hang_up()
        if not self._gatekeeper.join(CLOSE_SECONDS):
            self._process.end()
            self._gatekeeper.join(CLOSE_SECONDS)
        for call in list(self._paths):
            self._unlink(call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _unlink(self, call: str) -> None:
        with self._lock:
            paths = self._paths.pop(call, [])
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink()


def _named(call: str) -> str:
    if not 0 < len(call) <= LONGEST_CALL:
        raise SpecError(f"the name of a call has 1 to {LONGEST_CALL} characters: {call[:40]!r}")
    return call


def _fixed(hosts: Mapping[str, str]) -> dict[str, str]:
    """The static names, canonical, with addresses that are addresses."""
    fixed = {}
    for name, address in hosts.items():
        try:
            fixed[canonical_host(name)] = str(ip_address(address))
        except ValueError as error:  # a SpecError is one
            raise SpecError(f"egress.hosts: {name!r}: {address!r}: {error}") from None
    return fixed
