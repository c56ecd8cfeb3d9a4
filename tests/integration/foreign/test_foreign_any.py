"""Any image will do: an empty one, Debian without Python, busybox beside musl."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.foreign import images
from tests.integration.foreign.conftest import Made, call
from tests.integration.foreign.images import BUSYBOX, File

from trilemma.sandbox.base import BuiltinEntry, CommandEntry, ModuleEntry
from trilemma.sandbox.images import examine
from trilemma.sandbox.spec import Exec

pytestmark = [pytest.mark.docker]

RUN = BuiltinEntry("run_code")
MODULE = """
import hashlib, zoneinfo
from datetime import datetime

def told() -> str:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    return f"{datetime(2024, 7, 1, tzinfo=zone):%z} {hashlib.sha256(b'').hexdigest()[:8]}"
"""


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    with images.image(files=[File("etc/hostname")]) as made:
        yield made


@pytest.fixture(scope="module")
def musl(shell: tuple[File, ...]) -> Iterator[str]:
    """No glibc anywhere, a static shell, and the loader of another C library."""
    layer = images.debian("busybox-static", "musl")
    with images.image('ENTRYPOINT ["/bin/sh"]', layers=[layer], files=shell) as made:
        yield made


@pytest.fixture(scope="module")
def debian() -> Iterator[str]:
    """A Debian with a shell and Perl, and the marks of rights taken off."""
    layer = images.debian(*images.DEBIAN)
    files = [File("usr/bin/sh", link="dash")]
    with images.image('CMD ["bash"]', layers=[layer], files=files) as made:
        yield made


@pytest.mark.parametrize("execution", [Exec.NEVER, Exec.ONCE, Exec.FREE])
def test_an_empty_image_is_enough_for_the_tool_host(
    empty: str, made: Made, execution: Exec
) -> None:
    sandbox = made(empty, execution, MODULE)
    assert call(sandbox, ModuleEntry("tools", "told")).value == "+0200 e3b0c442"


@pytest.mark.parametrize(
    ("language", "lacks"),
    [
        ("python", "this sandbox's image has no python3"),
        ("shell", "this sandbox's image has no sh"),
    ],
)
def test_what_the_image_lacks_is_named(empty: str, made: Made, language: str, lacks: str) -> None:
    error = call(made(empty, Exec.FREE), RUN, language=language, code="").error
    assert error is not None
    assert error.code == "tool_error"
    assert error.message.startswith(lacks)


def test_debian_runs_its_own_shell_and_perl(debian: str, made: Made) -> None:
    sandbox = made(debian, Exec.FREE)
    code = "perl -e 'print 6*7'; command -v python3 || bash -c 'echo \" $BASH_VERSION\"'"
    assert call(sandbox, RUN, language="shell", code=code).value["stdout"].startswith("42 5.2")
    held = examine(debian).contents
    assert {"/usr/bin/bash", "/usr/bin/dash"} <= set(held.shells)
    assert "/usr/bin/perl" in held.interpreters


def test_an_image_without_glibc_runs_its_own_shell(musl: str, made: Made) -> None:
    code = "ls /lib64 2>&1; ls /lib/ld-musl*; echo $0"
    value = call(made(musl, Exec.FREE), RUN, language="shell", code=f"{BUSYBOX} sh -c '{code}'")
    assert "ld-musl-" in value.value["stdout"]
    assert any("ld-musl" in path for path in examine(musl).contents.interpreters)


def test_a_vetted_command_of_such_an_image_runs_once(musl: str, busybox: Path, made: Made) -> None:
    digest = hashlib.sha256(images.content(busybox, "usr/bin/busybox")).hexdigest()
    sandbox = made(musl, Exec.ONCE)
    entry = CommandEntry(BUSYBOX, digest, ("busybox", "echo", "hello"))
    assert call(sandbox, entry).value["stdout"] == "hello\n"
    again = CommandEntry(BUSYBOX, digest, ("busybox", "sh", "-c", "/bin/busybox id; echo $?"))
    assert call(sandbox, again).value["stdout"] == "126\n"
