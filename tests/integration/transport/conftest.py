"""Engines that are elsewhere, for the tests of this folder."""

from collections.abc import Iterator

import pytest
from tests.integration.transport.servers import SshServer, TlsServer


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An ssh server to reach this machine's engine through."""
    server = SshServer(tmp_path_factory.mktemp("ssh"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A TLS server to reach this machine's engine through."""
    server = TlsServer(tmp_path_factory.mktemp("tls"))
    yield server
    server.close()
