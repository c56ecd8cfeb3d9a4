"""An engine with ``userns-remap``: who runs in a sandbox is nobody on its host. It is checked."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.transport.dockerds import Remapped

from trilemma.cli.enginechecks import check_engine
from trilemma.errors import EngineMissing, SandboxRefused
from trilemma.gateway.settings import Settings
from trilemma.policy.capability import parse
from trilemma.sandbox import container, docker as backend_module
from trilemma.sandbox.base import BuiltinEntry, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images import find
from trilemma.sandbox.leftovers import remove_directory
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

ids = itertools.count()


@pytest.fixture
def backend(
    remapped: Remapped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[DockerBackend]:
    """Makes sandboxes there."""
    remapped.here.use(monkeypatch)
    runtime = RuntimeDir.create(tmp_path / "run")
    backend = DockerBackend(runtime)
    yield backend
    backend.close()
    remove_directory(runtime.path)


def coder(backend: DockerBackend) -> Sandbox:
    image = find("code")
    assert image is not None
    return backend.create(SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image))


def shell(sandbox: Sandbox, code: str) -> str:
    entry, arguments = BuiltinEntry("run_code"), {"language": "shell", "code": code}
    return str(sandbox.call(SandboxCall(f"c{next(ids)}", entry, arguments, 30)).value)


def root_on_the_host(sandbox: Sandbox) -> int:
    """Who root of the sandbox's user namespace is on the engine's host."""
    found = re.search(r"stdout': ' *0 +(\d+) ", shell(sandbox, "cat /proc/self/uid_map"))
    assert found is not None
    return int(found[1])


def test_no_user_of_a_sandbox_is_one_of_the_host(backend: DockerBackend) -> None:
    assert root_on_the_host(coder(backend)) >= 100_000


@pytest.fixture
def unmapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers that ask for the host's users, as any client of that engine may."""
    honest = container.configuration

    def sabotaged(settings: container.Settings) -> dict[str, Any]:
        config = honest(settings)
        config["HostConfig"]["UsernsMode"] = "host"
        return config

    monkeypatch.setattr(backend_module, "configuration", sabotaged)


@pytest.mark.usefixtures("unmapped")
def test_a_sandbox_with_the_host_s_users_is_refused_for_what_the_engine_says(
    backend: DockerBackend,
) -> None:
    with pytest.raises(SandboxRefused, match=r"HostConfig\.UsernsMode is 'host'"):
        coder(backend)


@pytest.mark.usefixtures("unmapped")
def test_and_for_what_is_mounted_in_it(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is root on the host makes devices of its own, and needs none of the host's."""
    monkeypatch.setattr("trilemma.sandbox.verify.compare", lambda *known: iter(()))
    with pytest.raises(SandboxRefused, match="the mount /dev/null is 'not there'"):
        coder(backend)


@pytest.mark.usefixtures("unmapped")
def test_sabotage_without_both_it_has_them(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.sandbox.verify.compare", lambda *known: iter(()))
    monkeypatch.setattr("trilemma.sandbox.mounted.own_users", lambda security: False)
    assert root_on_the_host(coder(backend)) == 0


def test_the_host_s_null_may_follow_it_only_as_a_mask(
    backend: DockerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's mounts are shared there, as under systemd: what hides a file follows it."""
    coder(backend).close()
    monkeypatch.setattr("trilemma.sandbox.mounted.is_mask", lambda mount: False)
    with pytest.raises(SandboxRefused, match=r"/proc/cmdline is .a follower of the host"):
        coder(backend)


def test_the_doctor_says_what_it_is(remapped: Remapped, monkeypatch: pytest.MonkeyPatch) -> None:
    remapped.here.use(monkeypatch)
    said = {finding.what: finding.text for finding in check_engine(Settings.from_environment())}
    assert "as root, with userns-remap at unix://" in said["engine"]
    assert said["transport"].endswith("its engine gives its users other numbers")


def test_it_lets_nobody_in_whose_certificate_it_does_not_know(
    remapped: Remapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    remapped.tls.elsewhere("stranger").use(monkeypatch)
    with pytest.raises(EngineMissing, match="no container engine answers at tcp://"):
        Engine()
