"""Sabotage twins: one wall is taken away in a container of the test's own; the attack works.

For each row of ``rows.txt`` the very function that failed in a sandbox is run where what stopped it
is missing. Those that only the Engine stops are also run where nothing but the tool host is
missing, and fail there: the wall is that one and no other.
"""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.integration.attacks import sabotage
from tests.integration.attacks.document import TWIN, check
from tests.integration.attacks.rows import ROWS, Row, source
from tests.integration.attacks.target import Target, make_target
from tests.integration.test_sandbox_attacks import outcome, spec

from trilemma.policy.capability import Capability
from trilemma.sandbox import docker as backend_module
from trilemma.sandbox.container import ENTRYPOINT, Settings, configuration
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.hosttree import HostTree
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

KERNEL_HAS_NONE = "EAFNOSUPPORT"
HELD = {"no lock": None, "plain folder": None, "new privileges": "plain folder"}
"""What is run beside a sabotage to see that nothing else is the wall: mostly ``no lock``.

With the lock gone and the folder there, whatever the lock or the view stops succeeds at once.
"""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    found = make_target(tmp_path)
    with found.listening(), found.planted():
        yield found


class Bare:
    """A container with a sandbox's configuration, but the attacks instead of the tool host."""

    def __init__(self, api: Any, runtime: RuntimeDir, image: str, target: Target) -> None:
        self.api = api
        self.runtime = runtime
        self.image = image
        self.target = target

    def run(self, name: str, rows: list[Row]) -> dict[str, str]:
        """How each attack ended: ``yes``, or the error's name."""
        spec = SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, self.image)
        label = f"trilemma-twin-{secrets.token_hex(6)}"
        exchange, tree = self.runtime.exchange(), HostTree().volume()
        settings = Settings(spec, label, self.runtime.instance, exchange, tree)
        config = configuration(settings)
        what = json.dumps([[row.function, self.target.argument(row.argument)] for row in rows])
        config["Entrypoint"] = [*ENTRYPOINT[:-1], "-c", source(), what]
        config["HostConfig"] |= {"AutoRemove": False, "LogConfig": {"Type": "json-file"}}
        sabotage.OF_CONTAINER[name](config, self.target.folder)
        ended = [json.loads(line) for line in self._output(config, label).splitlines()]
        return {
            row.name: _ending(row, end, settings.uid) for row, end in zip(rows, ended, strict=True)
        }

    def _output(self, config: sabotage.Config, label: str) -> str:
        container = self.api.create_container_from_config(config, label)["Id"]
        try:
            self.api.start(container)
            self.api.wait(container, timeout=60)
            return str(self.api.logs(container).decode())
        finally:
            self.api.remove_container(container, force=True)


def _ending(row: Row, end: dict[str, str], uid: int) -> str:
    if end["outcome"] != "done":
        return end["detail"]
    return "same user" if row.name == "exec_set_user_id" and end["owner"] == str(uid) else "yes"


@pytest.fixture
def bare(engine: Engine, runtime: RuntimeDir, code_image: str, target: Target) -> Iterator[Bare]:
    api = docker.APIClient(version="auto")
    yield Bare(api, runtime, code_image, target)
    api.close()


@pytest.mark.parametrize("name", sabotage.OF_CONTAINER)
def test_without_one_wall_of_a_container(name: str, bare: Bare) -> None:
    rows = [row for row in ROWS if row.twin == name]
    if (beside := HELD.get(name, "no lock")) is not None:
        assert "yes" not in bare.run(beside, rows).values()
    found = bare.run(name, rows)
    for row in rows:
        none = row.granted == "rare" and found[row.name] == KERNEL_HAS_NONE
        assert none or found[row.name] == "yes", (row.name, found[row.name])
    check(TWIN, {row.name: f"{name}¹" if row.granted == "rare" else name for row in rows})


def test_without_a_network_of_its_own_canaries_arrive(bare: Bare) -> None:
    bare.run("network", [row for row in ROWS if row.twin == "network"])
    # Arrived where they were sent, not only sent: a server, a name server and an abstract socket.
    assert len(bare.target.arrived) == 3
    assert bare.target.arrived.count(b"canary") == 2


@pytest.mark.parametrize("name", sabotage.OF_TOOL_HOST)
def test_without_one_act_of_the_tool_host(
    name: str,
    backend: DockerBackend,
    code_image: str,
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sabotaged(settings: Settings) -> dict[str, Any]:
        entrypoint = sabotage.tool_host(ENTRYPOINT, sabotage.OF_TOOL_HOST[name])
        return configuration(settings) | {"Entrypoint": entrypoint}

    monkeypatch.setattr(backend_module, "configuration", sabotaged)
    monkeypatch.setattr(backend_module, "verify", lambda evidence, settings: None)
    sandbox = backend.create(spec(frozenset({Capability.CODE}), code_image, None))
    rows = [row for row in ROWS if row.twin == name]
    found = {row.name: outcome(sandbox, row, row.argument) for row in rows}
    assert found == dict.fromkeys(found, "yes")
    check(TWIN, dict.fromkeys(found, name))


def test_every_attack_has_a_twin() -> None:
    assert {row.twin for row in ROWS} == {*sabotage.OF_CONTAINER, *sabotage.OF_TOOL_HOST}
