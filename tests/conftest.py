"""Fixtures of all tests: what a machine lacks is skipped with a reason, but never in CI."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trilemma.errors import EngineMissing
from trilemma.sandbox.runtime import Instance, RuntimeDir

if TYPE_CHECKING:
    from trilemma.sandbox.docker import DockerBackend
    from trilemma.sandbox.engine import Engine

# The SDK of the engine is imported by those fixtures alone that need it.
INSTANCE = "dev.trilemma.instance"


def unavailable(reason: str) -> None:
    """Skip, visibly; in CI, where everything is there, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        unavailable("needs root")


@pytest.fixture(scope="session")
def engine() -> "Iterator[Engine]":
    """The container engine. At the end no container of this process may be left."""
    from trilemma.sandbox.engine import Engine

    try:
        engine = Engine()
    except EngineMissing as exc:
        unavailable(str(exc))
        raise
    yield engine
    left = [c["Names"] for c in engine.containers(INSTANCE) if _ours(c["Labels"])]
    engine.close()
    assert not left


def _ours(labels: dict[str, str]) -> bool:
    instance = Instance.parse(labels[INSTANCE])
    return instance is not None and instance.pid == os.getpid()


@pytest.fixture(scope="session")
def base_image(engine: "Engine") -> str:
    """Id of the image without a shell."""
    from trilemma.sandbox.images import ensure

    return ensure("base", progress=print)


@pytest.fixture(scope="session")
def code_image(engine: "Engine") -> str:
    """Id of the image with Python, a shell and tools."""
    from trilemma.sandbox.images import ensure

    return ensure("code", progress=print)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[RuntimeDir]:
    """A runtime directory of one gateway."""
    from trilemma.sandbox.leftovers import remove_directory

    runtime = RuntimeDir.create(tmp_path / "run")
    yield runtime
    remove_directory(runtime.path)


@pytest.fixture
def backend(runtime: RuntimeDir, engine: "Engine") -> "Iterator[DockerBackend]":
    """A backend whose sandboxes are gone after the test."""
    from trilemma.sandbox.docker import DockerBackend

    backend = DockerBackend(runtime)
    yield backend
    backend.close()
