"""One gateway for all attacks that must fail, and one for those whose control was removed."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.gateway.origin import Origin, served
from tests.integration.teams.stage import Stage

from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings


@pytest.fixture(scope="session")
def outside() -> Iterator[Origin]:
    """A server that remembers what arrived."""
    with served() as origin:
        yield origin


@contextmanager
def _gateway(root: Path, origin: Origin, policy: str = "") -> Iterator[LocalGateway]:
    runtime = Path(tempfile.mkdtemp(prefix="tt", dir="/run"))
    settings = Settings(
        state=root / "state",
        config=root / "config",
        cache=root / "cache",
        runtime=runtime,
        durability="normal",
        warm=0,
    )
    settings.config.mkdir(parents=True)
    settings.policy.write_text("version: 1\n" + origin.policy + policy)
    gateway = LocalGateway.start(settings)
    yield gateway
    asyncio.run(gateway.close())
    left = sorted(runtime.iterdir())
    assert not left
    shutil.rmtree(runtime)


@pytest.fixture(scope="session")
def team_gateway(
    tmp_path_factory: pytest.TempPathFactory, outside: Origin, base_image: str, code_image: str
) -> Iterator[LocalGateway]:
    """A gateway as it is. Its ledger verifies at the end."""
    root = tmp_path_factory.mktemp("whole")
    with _gateway(root, outside) as gateway:
        yield gateway
    verify(gateway.settings.ledger)


@pytest.fixture(scope="session")
def broken_gateway(
    tmp_path_factory: pytest.TempPathFactory, outside: Origin, base_image: str, code_image: str
) -> Iterator[LocalGateway]:
    """A gateway for tests that remove a control. Nobody asks what its ledger is worth."""
    with _gateway(tmp_path_factory.mktemp("broken"), outside) as gateway:
        yield gateway


@pytest.fixture
def make_stage(tmp_path: Path, outside: Origin) -> Callable[[LocalGateway], Stage]:
    """Sets a stage: a folder and a canary of its own."""

    def make(gateway: LocalGateway) -> Stage:
        canary = f"canary-{secrets.token_hex(6)}"
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "a.txt").write_text(canary)
        return Stage(gateway, outside, folder, canary)

    return make


@pytest.fixture
def stage(team_gateway: LocalGateway, make_stage: Callable[[LocalGateway], Stage]) -> Stage:
    """A stage on the gateway as it is."""
    return make_stage(team_gateway)


@pytest.fixture
def broken(broken_gateway: LocalGateway, make_stage: Callable[[LocalGateway], Stage]) -> Stage:
    """A stage where the test may remove a control."""
    return make_stage(broken_gateway)


@pytest.fixture
def passing(
    tmp_path: Path, outside: Origin, base_image: str, code_image: str
) -> Iterator[LocalGateway]:
    """A gateway that the test may close."""
    with _gateway(tmp_path / "passing", outside) as gateway:
        yield gateway
    verify(gateway.settings.ledger)


@pytest.fixture
def asking(
    tmp_path: Path, outside: Origin, base_image: str, code_image: str
) -> Iterator[LocalGateway]:
    """A gateway whose operator wants to be asked before the agent ``worker`` is called."""
    policy = "approval: {tools: [worker]}\n"
    with _gateway(tmp_path / "asking", outside, policy) as gateway:
        yield gateway
    verify(gateway.settings.ledger)
