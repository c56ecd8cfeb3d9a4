"""What several tests in real containers share."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from tests.integration.transport.dockerds import Remapped


class Canaries:
    """A server on the host, and what was sent to it."""

    def __init__(self, family: int, address: Any) -> None:
        self._server = socket.socket(family)
        self._server.bind(address)
        self._server.listen()
        self.address = self._server.getsockname()
        self.arrived: list[bytes] = []
        self._something = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def wait(self) -> list[bytes]:
        """What has arrived, once something has."""
        assert self._something.wait(10)
        return self.arrived

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self.arrived.append(connection.recv(100))
                self._something.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


@pytest.fixture
def canaries() -> Iterator[Callable[[int, Any], Canaries]]:
    """Starts servers that keep what arrives: ``canaries(family, address)``."""
    with ExitStack() as stack:
        yield lambda family, address: stack.enter_context(Canaries(family, address))


@pytest.fixture(scope="session")
def remapped(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Remapped]":
    """An engine with users of its own, also behind TLS. It has our images. Nothing stays there."""
    from tests.integration.transport.dockerds import Remapped

    engine = Remapped(tmp_path_factory.mktemp("tls"))
    try:
        engine.build("base", "code")
        yield engine
        left = engine.left()
    finally:
        engine.close()
    assert not left
