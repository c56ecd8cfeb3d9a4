"""Where the container engine is: what ``DOCKER_HOST`` names, and how it is reached safely.

``unix://`` is this machine's or one that a proxy leads to. ``ssh://`` goes through the ``ssh`` of
this machine. ``tcp://`` goes through TLS with certificates on both sides, or not at all: whoever
reaches an engine is root on its machine.
"""

import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from trilemma.errors import EngineMissing

_DEFAULT = "unix:///var/run/docker.sock"
_SECONDS = 30.0
_TLS_PORT = 2376

_PLAIN = re.compile(r"[^\s'\"`$%\\;&<>|(){}]*")
"""What a shell does not obey: commands in the configuration of ``ssh`` may name host and user."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files that the ``docker`` command uses as well, below ``DOCKER_CERT_PATH``."""

    folder: Path

    @property
    def authority(self) -> Path:
        """Who signed the engine's certificate."""
        return self.folder / "ca.pem"

    @property
    def own(self) -> tuple[Path, Path]:
        """The client's own certificate and its key."""
        return (self.folder / "cert.pem", self.folder / "key.pem")

    def check(self) -> None:
        """See that all three are there.

        Raises:
            EngineMissing: one is not.

        """
        for path in (self.authority, *self.own):
            if not path.is_file():
                raise EngineMissing(
                    f"{str(path)!r} is missing: an engine at tcp:// is reached with TLS only; "
                    "put ca.pem, cert.pem and key.pem into DOCKER_CERT_PATH, or use ssh://"
                )

    def context(self) -> ssl.SSLContext:
        """For a connection in which both sides show who they are."""
        context = ssl.create_default_context(cafile=str(self.authority))
        certificate, key = self.own
        context.load_cert_chain(str(certificate), str(key))
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """An engine's address as it was given, and its parts."""

    text: str
    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    path: str = ""
    """Of the engine's socket, on this machine or on the one that ``ssh`` reaches."""
    certificates: Certificates | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read ``DOCKER_HOST`` and, for TLS, ``DOCKER_CERT_PATH``.

        Raises:
            EngineMissing: it is not an address, or one that would be reached in clear.

        """
        environ = os.environ if environ is None else environ
        text = environ.get("DOCKER_HOST") or _DEFAULT
        if not text.isprintable():
            # What parses it would leave these out, and reach another engine than it says.
            raise EngineMissing(f"DOCKER_HOST={text!r} holds characters that are not printable")
        try:
            parts = urlsplit(text)
            port = parts.port or 0
        except ValueError as error:
            raise EngineMissing(f"DOCKER_HOST={text!r} is not an address: {error}") from None
        match parts.scheme:
            case "unix" if parts.path:
                return cls(text, "unix", path=parts.path)
            case "ssh" if parts.hostname and not parts.hostname.startswith("-"):
                if parts.password is not None or not _PLAIN.fullmatch(text):
                    raise EngineMissing(
                        "DOCKER_HOST holds a password, a space or what a shell obeys; name the "
                        "machine in ~/.ssh/config and use ssh://NAME"
                    )
                return cls._ssh(text, parts.hostname, port, parts.username or "", parts.path)
            case "tcp" | "https" if parts.hostname:
                certificates = Certificates(_folder(environ))
                certificates.check()
                return cls(text, "tcp", parts.hostname, port or _TLS_PORT, "", "", certificates)
        raise EngineMissing(
            f"DOCKER_HOST={text!r} is no engine's address; use unix:///path, "
            "ssh://user@host or tcp://host:2376 (with TLS)"
        )

    @classmethod
    def _ssh(cls, text: str, host: str, port: int, user: str, path: str) -> Self:
        if user.startswith("-"):
            raise EngineMissing(f"DOCKER_HOST={text!r}: a user's name does not begin with '-'")
        path = path if path not in ("", "/") else "/var/run/docker.sock"
        return cls(text, "ssh", host, port, user, path)

    @property
    def base_url(self) -> str:
        """As the SDK takes it."""
        if self.scheme == "tcp":
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"https://{host}:{self.port}"
        return f"unix://{self.path}"

    def through(self, path: Path) -> "Address":
        """The same engine, reached at a socket of this machine that leads to it."""
        return Address(self.text, "unix", path=str(path))

    def dial(self) -> socket.socket:
        """A connection of its own.

        Raises:
            OSError: nothing answers there.

        """
        if self.certificates is not None:
            plain = socket.create_connection((self.host, self.port), _SECONDS)
            try:
                return self.certificates.context().wrap_socket(plain, server_hostname=self.host)
            except BaseException:
                plain.close()
                raise
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_SECONDS)
        try:
            connection.connect(self.path)
        except BaseException:
            connection.close()
            raise
        return connection


def _folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
