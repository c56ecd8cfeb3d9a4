"""Everything goes over the container's attached input and output."""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trilemma.errors import SandboxError

from .channel import Channel
from .container import Settings
from .engine import Engine
from .evidence import Evidence, hear
from .report import SelfTest
from .spec import Egress
from .switchboard import Carried


@dataclass(frozen=True, slots=True)
class _First:
    """Process 1 of a container that cannot be seen from here: the engine ends it."""

    container: str
    engine: Engine
    carried: Carried
    pid: int = 0

    @property
    def ended(self) -> bool:
        """Whether its output has ended."""
        return self.carried.ended(0)

    def end(self, seconds: float) -> bool:
        """Have the engine kill it; whether it is gone."""
        with contextlib.suppress(SandboxError):
            self.engine.remove(self.container)
            return self.carried.ended(seconds)
        return False

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class _Started:
    container: str
    control: socket.socket
    engine: Engine
    carried: Carried

    def hold(self) -> _First:
        return _First(self.container, self.engine, self.carried)

    def evidence(self, channel: Channel, self_test: SelfTest) -> Evidence:
        return hear(self.engine, self.container, channel.look(), self_test)


class StdioTransport:
    """For an engine that shares nothing with this machine; see ``transport.py``."""

    stdio = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, config: Mapping[str, Any], settings: Settings) -> _Started:
        """Make the container, attach to it and start it; see ``transport.Transport``."""
        mount = settings.spec.mount
        if mount is not None and not mount.volume:
            raise SandboxError(
                f"the engine at {self._engine.address} does not see the folder "
                f"{str(mount.source)!r} of this machine"
            )
        container = self._engine.create(config, settings.name)
        line = self._engine.attach(container)
        tunnels = settings.spec.egress is Egress.TUNNEL
        carried = Carried(line, settings.exchange if tunnels else None)
        try:
            self._engine.start(container)
        except BaseException:
            carried.control.close()
            raise
        return _Started(container, carried.control, self._engine, carried)
