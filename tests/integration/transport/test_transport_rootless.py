"""A rootless engine. Without cgroup v2 it keeps no limits and does not say so: it is refused."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from tests.integration.transport.dockerds import RAISED, Rootless

from trilemma.cli.checks import Status
from trilemma.cli.enginechecks import check_engine
from trilemma.errors import SandboxError, SandboxRefused
from trilemma.gateway.settings import Settings
from trilemma.policy.capability import parse
from trilemma.sandbox import docker as backend_module
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.carried.volume import Volume
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.expected import Finding
from trilemma.sandbox.images import Kind
from trilemma.sandbox.leftovers import remove_directory
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

MIB = 1024 * 1024
LIMITS = Limits(processes=24)

PROFILES = {
    "": (Exec.NEVER, Egress.NONE),
    "files": (Exec.NEVER, Egress.NONE),
    "internet": (Exec.NEVER, Egress.STRUCTURED),
    "code": (Exec.FREE, Egress.NONE),
    "files internet": (Exec.NEVER, Egress.STRUCTURED),
    "files code": (Exec.FREE, Egress.NONE),
    "internet code": (Exec.FREE, Egress.TUNNEL),
}

BOMB = """
import os, time
started = 0
try:
    while started < 2 * {limit}:
        if os.fork() == 0:
            time.sleep(60)
        started += 1
except BlockingIOError:
    pass
print("started", started)
"""


@pytest.fixture(scope="module")
def rootless() -> Iterator[Rootless]:
    """An engine of an ordinary user."""
    engine = Rootless()
    try:
        yield engine
        left = engine.left()
    finally:
        engine.close()
    assert not left


@pytest.fixture(scope="module")
def images(rootless: Rootless, code_image: str) -> dict[Kind, str]:
    """Our images, there."""
    return rootless.build("base", "code")


@pytest.fixture
def backend(
    rootless: Rootless, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[DockerBackend]:
    """Makes sandboxes there."""
    rootless.here.use(monkeypatch)
    runtime = RuntimeDir.create(tmp_path / "run")
    backend = DockerBackend(runtime)
    yield backend
    backend.close()
    remove_directory(runtime.path)


def test_it_is_refused_in_one_line_that_says_what_to_do(backend: DockerBackend) -> None:
    spec = SandboxSpec(parse([]), Exec.NEVER, Egress.NONE, None, "sha256:any")
    with pytest.raises(SandboxError) as refused:
        backend.create(spec)
    text = str(refused.value)
    assert "keeps no limit of memory, processes, processor time" in text
    assert "cgroup v2" in text
    assert "\n" not in text


def test_the_doctor_says_the_same(rootless: Rootless, monkeypatch: pytest.MonkeyPatch) -> None:
    rootless.here.use(monkeypatch)
    said = {finding.what: finding for finding in check_engine(Settings.from_environment())}
    assert "rootless at unix://" in said["engine"].text
    assert said["cgroups"].status is Status.MISSING
    assert "cgroup v2" in said["cgroups"].text


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is believed. Without control groups it cannot list processes either."""
    monkeypatch.setattr(backend_module, "refuse_unlimited", lambda engine: None)
    monkeypatch.setattr(Engine, "processes", lambda self, container: ANY)


@pytest.mark.usefixtures("trusted")
def test_sabotage_where_it_is_believed_code_goes_over_its_limit(
    backend: DockerBackend, images: dict[Kind, str]
) -> None:
    spec = SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, images["code"], LIMITS)
    sandbox = backend.create(spec)
    arguments = {"language": "python", "code": BOMB.format(limit=LIMITS.processes)}
    result = sandbox.call(SandboxCall("bomb", BuiltinEntry("run_code"), arguments, 30))
    assert f"started {2 * LIMITS.processes}" in str(result.value)
    sandbox.close()


def only_zero(score: object) -> Iterator[Finding]:
    if score:
        yield Finding("HostConfig.OomScoreAdj", 0, score)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("check", "strict", "finding"),
    [
        ("mounted.is_mask", lambda mount: False, r"/proc/cmdline is .a follower of the host"),
        ("expected._killed_first", only_zero, f"OomScoreAdj is {RAISED}"),
    ],
    ids=["masks", "score"],
)
def test_what_its_host_adds_is_seen(
    backend: DockerBackend,
    images: dict[Kind, str],
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    strict: object,
    finding: str,
) -> None:
    """As under systemd: mounts are shared, and who a user starts is ended the sooner."""
    monkeypatch.setattr(f"trilemma.sandbox.{check}", strict)
    spec = SandboxSpec(parse([]), Exec.NEVER, Egress.NONE, None, images["base"])
    with pytest.raises(SandboxRefused, match=finding):
        backend.create(spec)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("profile", PROFILES)
def test_but_for_that_every_profile_is_what_it_must_be(
    backend: DockerBackend, images: dict[Kind, str], profile: str
) -> None:
    execution, egress = PROFILES[profile]
    image = images["code" if execution is Exec.FREE else "base"]
    volume = Volume.make(backend, MIB, executable=execution is Exec.FREE)
    mount = volume.mount if "files" in profile else None
    backend.create(SandboxSpec(parse(profile.split()), execution, egress, mount, image)).close()
    assert volume.remove(backend)
