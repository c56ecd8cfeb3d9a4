"""What a tool gets besides its arguments."""

import socket
from typing import NamedTuple

from .errors import CallFailed
from .settings import Settings


class Context(NamedTuple):
    """The surroundings of one call, inside its child."""

    settings: Settings
    link: socket.socket
    """To the tool host: a vetted command hands its filter's listener over here."""
    egress: int | None
    """The descriptor of this call's connection to the proxy."""

    def take_egress(self) -> socket.socket:
        """The connection to the egress proxy."""
        if self.egress is None:
            raise CallFailed("this call was given no connection to the egress proxy")
        return socket.socket(fileno=self.egress)
