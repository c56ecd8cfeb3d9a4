"""One way to the container engine, for everybody in this process who asks it something."""

import socket
from typing import Any, Self

import docker
from docker.tls import TLSConfig

from trilemma.errors import EngineMissing

from .address import Address
from .sshforward import SshForward

MISSING = (
    "no container engine answers at {where}: on Debian install docker.io, "
    "then start it (systemctl start docker, or dockerd)"
)

_SECONDS = 30.0


class Way:
    """Where the engine is reached; safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        """Connect ``ssh`` where it is needed, and see that something listens.

        Raises:
            EngineMissing: nothing answers there.

        """
        self.text = address.text
        self.given = address
        self._forward = SshForward(address) if address.scheme == "ssh" else None
        self.address = address if self._forward is None else self._forward.address
        try:
            if address.scheme == "unix":
                _knock(address)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_environment(cls) -> Self:
        """To the engine that ``DOCKER_HOST`` names.

        Raises:
            EngineMissing: as the constructor, or there is no such address.

        """
        return cls(Address.from_environment())

    def client(self, *, timeout: int, **options: Any) -> Any:
        """The SDK's client. Its stubs know half of its methods."""
        if (certificates := self.address.certificates) is not None:
            authority = str(certificates.authority)
            certificate, key = map(str, certificates.own)
            options["tls"] = TLSConfig(
                client_cert=(certificate, key), ca_cert=authority, verify=True
            )
        return _Client(base_url=self.address.base_url, version="auto", timeout=timeout, **options)

    def ensure(self) -> None:
        """Connect again where ``ssh`` has ended meanwhile.

        Raises:
            EngineMissing: it cannot.

        """
        if self._forward is not None:
            self._forward.ensure()

    def close(self) -> None:
        """Close what was opened. Never raises; twice is fine."""
        if self._forward is not None:
            self._forward.close()


class _Client(docker.APIClient):
    """Not led elsewhere: by default the environment names a proxy, and who else is trusted."""

    @property
    def trust_env(self) -> bool:
        """``REQUESTS_CA_BUNDLE`` would stand above the authority that was given for this engine."""
        return False

    @trust_env.setter
    def trust_env(self, value: bool) -> None:
        """Its base class sets it."""


def _knock(address: Address) -> None:
    """Before the SDK does: it leaves the socket of a refused connection open."""
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(_SECONDS)
        try:
            knocking.connect(address.path)
        except OSError as exc:
            raise EngineMissing(f"{MISSING.format(where=address.text)} ({exc.strerror})") from None
