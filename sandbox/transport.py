"""How gateway and tool host reach each other, chosen by what the engine is.

There are two ways. Where the engine runs on this machine and its containers are processes that we
see, the sandbox shares a folder with the gateway and its tool host connects to a socket in it.
Everywhere else, as with Docker Desktop or an engine behind ``ssh``, all goes over the container's
attached input and output: slower, same promises.
"""

import os
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from .channel import Channel
from .confined import own_users, security
from .container import Settings
from .engine import Engine, Inspect
from .evidence import Evidence
from .report import SelfTest


class First(Protocol):
    """Process 1 of a container. When it has ended, nothing in the container runs any more."""

    @property
    def pid(self) -> int:
        """Its number on this machine; 0 where it runs on another."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        ...

    def end(self, seconds: float) -> bool:
        """End it and wait; whether it is gone."""
        ...

    def close(self) -> None:
        """Let go of it. Once."""
        ...


class Started(Protocol):
    """A container that was started, with a tool host that is there."""

    @property
    def container(self) -> str:
        """Its id."""
        ...

    @property
    def control(self) -> socket.socket:
        """The connection to its tool host; whoever takes it closes it."""
        ...

    def hold(self) -> First:
        """Take hold of its process 1."""
        ...

    def evidence(self, channel: Channel, self_test: SelfTest) -> Evidence:
        """What is known about it."""
        ...


class Transport(Protocol):
    """One of the two ways."""

    stdio: bool
    """Whether it needs no folder that the engine and this machine share."""

    def start(self, config: Mapping[str, Any], settings: Settings) -> Started:
        """Make the container that ``config`` describes, start it, and wait for its tool host.

        Raises:
            SandboxError: one of these fails; the container is left to the caller.

        """
        ...


def choose(engine: Engine) -> Transport:
    """The way that this engine allows.

    A wrong guess is no danger: whoever connects to a sandbox's socket must be the very process
    that the engine names.
    """
    from .sockettransport import SocketTransport
    from .stdiotransport import StdioTransport

    return SocketTransport(engine) if _is_ours(engine) else StdioTransport(engine)


def _is_ours(engine: Engine) -> bool:
    """Whether its containers are processes of this machine, with our user numbers."""
    if not engine.address.startswith("unix://"):
        return False
    return runs_here(engine.info())


def runs_here(info: Inspect) -> bool:
    """Whether an engine that says this of itself runs in the same system as this process."""
    here = os.uname()
    return (
        info.get("KernelVersion") == here.release
        and info.get("Name") == here.nodename
        and info.get("OperatingSystem") != "Docker Desktop"
        and not own_users(security(info))
    )
