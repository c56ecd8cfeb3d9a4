"""What is mounted on the host later appears in a sandbox where that is meant, and nowhere else."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trilemma.errors import SandboxRefused
from trilemma.policy.capability import parse
from trilemma.sandbox import container, mounted
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """As ``/run`` is where systemd runs: what is mounted there may appear in other places too."""
    root = tmp_path / "shared"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "x", str(root)], check=True)
    subprocess.run(["mount", "--make-shared", str(root)], check=True)
    yield root
    subprocess.run(["umount", "--recursive", "--lazy", str(root)], check=True)


@pytest.fixture
def follower(
    shared: Path, monkeypatch: pytest.MonkeyPatch, code_image: str
) -> Iterator[DockerBackend]:
    """Makes sandboxes whose exchange folder hears of the host's mounts."""
    bind = container._bind
    monkeypatch.setattr(
        container,
        "_bind",
        lambda *places, read_only: bind(*places, read_only=read_only, propagation="rslave"),
    )
    backend = DockerBackend(RuntimeDir.create(shared))
    yield backend
    backend.close()


def spec(image: str) -> SandboxSpec:
    return SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image)


def test_a_mount_that_hears_of_the_host_s_is_refused(
    follower: DockerBackend, code_image: str
) -> None:
    with pytest.raises(SandboxRefused, match=r"/run/trilemma is .a follower of the host"):
        follower.create(spec(code_image))


def test_sabotage_without_that_check_what_the_host_mounts_is_read_inside(
    follower: DockerBackend, code_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounted, "of_propagation", lambda mounts, settings: ())
    sandbox = follower.create(spec(code_image))
    secrets, place = tmp_path / "secrets", sandbox.exchange / "place"
    for path in (secrets, place):
        path.mkdir()
    (secrets / "secret.txt").write_text("canary")
    subprocess.run(["mount", "--bind", str(secrets), str(place)], check=True)
    arguments = {"language": "shell", "code": "cat /run/trilemma/place/secret.txt"}
    read = sandbox.call(SandboxCall("c", BuiltinEntry("run_code"), arguments, 20.0))
    assert read.value["stdout"] == "canary"
