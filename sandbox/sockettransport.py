"""The tool host connects to a socket in a folder that the sandbox shares with the gateway."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .channel import Channel
from .container import Settings
from .door import Door
from .engine import Engine
from .evidence import Evidence, first_process, gather
from .firstprocess import FirstProcess
from .report import SelfTest

_CONNECT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Started:
    container: str
    control: socket.socket
    engine: Engine

    def hold(self) -> FirstProcess:
        return FirstProcess(_process(self.engine, self.container))

    def evidence(self, _: Channel, self_test: SelfTest) -> Evidence:
        return gather(self.engine, self.container, self_test)


class SocketTransport:
    """For an engine of this machine; see ``transport.py``."""

    stdio = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, config: Mapping[str, Any], settings: Settings) -> _Started:
        """Make and start the container; see ``transport.Transport``."""
        with Door(settings.exchange, settings.uid) as door:
            container = self._engine.create(config, settings.name)
            self._engine.start(container)
            control = door.accept(lambda: _process(self._engine, container), _CONNECT_SECONDS)
        return _Started(container, control, self._engine)


def _process(engine: Engine, container: str) -> int:
    return first_process(engine.inspect(container))
