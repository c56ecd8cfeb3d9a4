"""A container is gone when its removal returns, whatever else is removing it or ending it."""

import secrets
import threading
from collections.abc import Iterator

import pytest

from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images import find

pytestmark = [pytest.mark.docker]


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def test_removals_that_meet_the_containers_own_end_leave_nothing(engine: Engine) -> None:
    for _ in range(6):
        name = f"trilemma-test-{secrets.token_hex(4)}"
        loader = ["/opt/trilemma/ld.so", "/nowhere"]
        config = {
            "Image": find("base"),
            "Entrypoint": loader,
            "Labels": {"dev.trilemma.test": name},
            "HostConfig": {"AutoRemove": True, "NetworkMode": "none"},
        }
        engine.create(config, name)
        threads = [threading.Thread(target=engine.remove, args=(name,)) for _ in range(3)]
        engine.start(name)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.containers(f"dev.trilemma.test={name}") == ()
