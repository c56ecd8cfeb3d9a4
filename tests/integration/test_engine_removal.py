"""A container is gone when its removal returns, whatever else is removing it or ending it."""

import contextlib
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from docker import errors

from trilemma.errors import SandboxError
from trilemma.sandbox import engine as module
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images import find

pytestmark = [pytest.mark.docker]


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def create(engine: Engine) -> str:
    """A container whose program ends as soon as it is started."""
    name = f"trilemma-test-{secrets.token_hex(4)}"
    config = {
        "Image": find("base"),
        "Entrypoint": ["/opt/trilemma/ld.so", "/nowhere"],
        "Labels": {"dev.trilemma.test": name},
        "HostConfig": {"AutoRemove": True, "NetworkMode": "none"},
    }
    engine.create(config, name)
    return name


def give_up_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine gives the first removal up, as when the container ended while it was killed."""
    really, conflict = engine._api.remove_container, requests.Response()
    conflict.status_code = 409
    given_up = iter([True])

    def remove(container: str, **options: Any) -> None:
        if next(given_up, False):
            raise errors.APIError("cannot remove: it is not running", response=conflict)
        really(container, **options)

    monkeypatch.setattr(engine._api, "remove_container", remove)
    monkeypatch.setattr(module, "_REMOVING", 1)


def test_a_removal_that_the_engine_gave_up_is_tried_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = create(engine)
    give_up_once(engine, monkeypatch)
    engine.remove(name)
    assert engine.containers(f"dev.trilemma.test={name}") == ()


def test_twin_without_another_try_the_container_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = create(engine)
    give_up_once(engine, monkeypatch)
    monkeypatch.setattr(module, "_REMOVALS", 1)
    with contextlib.suppress(SandboxError):
        engine.remove(name)
    assert len(engine.containers(f"dev.trilemma.test={name}")) == 1
    engine.remove(name)


def test_removals_that_meet_the_containers_own_end_leave_nothing(engine: Engine) -> None:
    for _ in range(6):
        name = create(engine)
        threads = [threading.Thread(target=engine.remove, args=(name,)) for _ in range(3)]
        engine.start(name)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.containers(f"dev.trilemma.test={name}") == ()
