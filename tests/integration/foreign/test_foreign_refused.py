"""Images that no sandbox is made of, or whose powers are gone in one, each beside what it does by
itself."""

import base64
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.foreign import images
from tests.integration.foreign.conftest import Made, call
from tests.integration.foreign.images import File

from trilemma.cli.image_inspect import inspect
from trilemma.errors import SandboxRefused, SpecError
from trilemma.sandbox import imagecheck
from trilemma.sandbox.base import BuiltinEntry
from trilemma.sandbox.images import Examined, ImageId, examine, pinned
from trilemma.sandbox.spec import Exec

pytestmark = [pytest.mark.docker]

Build = Callable[..., AbstractContextManager[ImageId]]

SOMEBODY = ("--user", "64101:64101")
CAN_SET_UID = base64.b64decode("AQAAAoAAAAAAAAAAAAAAAAAAAAA=")
"""cap_setuid=ep, as the kernel keeps it."""


@pytest.fixture
def build(busybox: Path, shell: tuple[File, ...]) -> Build:
    """Makes images with a shell in them, and something more."""

    def built(*lines: str, files: tuple[File, ...] = ()) -> AbstractContextManager[ImageId]:
        return images.image(*lines, layers=[busybox], files=[*shell, *files])

    return built


@pytest.fixture
def program(busybox: Path) -> bytes:
    return images.content(busybox, "usr/bin/busybox")


def refusal(made: Made, image: str) -> str:
    with pytest.raises(SandboxRefused) as refused:
        made(image)
    return str(refused.value)


def inside(made: Made, image: str, command: str) -> str:
    """What a program prints in a sandbox that may execute."""
    sandbox = made(image, Exec.FREE)
    try:
        result = call(sandbox, BuiltinEntry("run_code"), language="shell", code=command)
    finally:
        sandbox.close()
    assert result.error is None, result.error
    return f"{result.value['stdout']}{result.value['stderr']}"


def test_a_setuid_program_runs_with_no_rights_of_its_own(made: Made) -> None:
    layer = images.debian(*images.DEBIAN)
    becoming = File("usr/bin/becoming", images.content(layer, "usr/bin/id"), 0o4755)
    with images.image(layers=[layer], files=[becoming]) as image:
        assert "(root)" not in inside(made, image, "/usr/bin/becoming")
        assert "euid=0" in images.by_itself(image, "/usr/bin/becoming", options=SOMEBODY)


def test_a_program_with_capabilities_does_not_run(build: Build, program: bytes, made: Made) -> None:
    capable = File("srv/busybox", program, 0o755, capabilities=CAN_SET_UID)
    command = ("/srv/busybox", "grep", "CapEff", "/proc/self/status")
    with build(files=(capable,)) as image:
        # The kernel gives it either what it says it must have, or nothing to run with.
        assert "Operation not permitted" in inside(made, image, " ".join(command))
        shown = images.by_itself(image, *command, options=SOMEBODY)
        assert int(shown.split()[1], 16) == 1 << 7


def test_a_device_node(build: Build, made: Made) -> None:
    with build(files=(File("srv/device", mode=0o666, type=tarfile.CHRTYPE),)) as image:
        assert "it holds device nodes or fifos (/srv/device)" in refusal(made, image)
        swallowed = ("/bin/sh", "-c", "echo x > /srv/device && echo written")
        assert images.by_itself(image, *swallowed, options=SOMEBODY) == "written\n"


def test_a_fifo(build: Build, made: Made) -> None:
    with build(files=(File("srv/fifo", type=tarfile.FIFOTYPE),)) as image:
        assert "it holds device nodes or fifos (/srv/fifo)" in refusal(made, image)


def test_a_volume(build: Build, made: Made) -> None:
    with build("VOLUME /data") as image:
        assert "it declares the volume '/data', which every sandbox could write" in refusal(
            made, image
        )
        brought = ("/bin/sh", "-c", "cp /bin/busybox /data/busybox && /data/busybox echo executed")
        assert images.by_itself(image, *brought) == "executed\n"


@pytest.mark.parametrize("path", ["opt", "run/trilemma"])
def test_links_where_a_sandbox_has_mounts(build: Build, made: Made, path: str) -> None:
    with build(files=(File(path, link="/srv"), File("srv/x"))) as image:
        assert f"it holds links where a sandbox has mounts (/{path})" in refusal(made, image)


def test_twin_without_the_look_a_device_node_gets_in(
    build: Build, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(name: str) -> Examined:
        return replace(examine(name), unusable=())

    monkeypatch.setattr(imagecheck, "examine", blind)
    with build(files=(File("srv/device", mode=0o666, type=tarfile.CHRTYPE),)) as image:
        made(image).close()


@pytest.fixture
def tagged(build: Build) -> Iterator[tuple[str, str]]:
    with build() as image:
        images.docker("tag", image, "trilemma-test-tag:now")
        yield image, "trilemma-test-tag:now"


def test_a_tag_does_not_name_an_agents_image(tagged: tuple[str, str]) -> None:
    image, tag = tagged
    assert pinned(image) == image
    with pytest.raises(SpecError, match=r"^image 'trilemma-test-tag:now' is not pinned: "):
        pinned(tag)


def test_the_command_shows_what_an_image_holds(
    build: Build, program: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ("ENV TOKEN=x", 'ENTRYPOINT ["/bin/sh"]', "HEALTHCHECK CMD true")
    with build(*lines, files=(File("srv/busybox", program, 0o4755),)) as image:
        inspect(image, as_json=True)
        shown = json.loads(capsys.readouterr().out)
        inspect(image, as_json=False)
        text = capsys.readouterr().out
    assert shown["image"] == image
    assert shown["usable"] is True
    assert shown["setuid"] == ["/srv/busybox"]
    assert shown["shells"] == ["/srv/busybox", "/usr/bin/busybox"]
    assert shown["variables"] == ["PATH", "TOKEN"]
    assert set(shown["replaced"]) >= {"Entrypoint", "Healthcheck"}
    assert "setuid        /srv/busybox\n" in text
    assert "usable        yes\n" in text
