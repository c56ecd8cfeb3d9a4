"""Foreign images, and sandboxes made of them."""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.foreign import images
from tests.integration.foreign.images import File

from trilemma.policy.capability import parse
from trilemma.sandbox.base import CallResult, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec, ToolModule

_calls = itertools.count()

Made = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def busybox() -> Path:
    """A layer with one static program."""
    return images.debian("busybox-static")


@pytest.fixture(scope="session")
def shell(busybox: Path) -> tuple[File, ...]:
    """Links from a shell's usual names to it."""
    names = ("sh", "cat", "cp", "echo", "id", "sleep", "touch")
    return tuple(File(f"usr/bin/{name}", link="busybox") for name in names)


@pytest.fixture
def made(backend: DockerBackend) -> Made:
    """Makes a sandbox of an image: ``made(image, Exec.FREE, source of a tool module)``."""

    def make(image: str, execution: Exec = Exec.NEVER, source: str = "") -> Sandbox:
        digest = hashlib.sha256(source.encode()).hexdigest()
        modules = (ToolModule("tools", source, digest),) if source else ()
        held = parse(["code"] if execution is Exec.FREE else [])
        return backend.create(
            SandboxSpec(held, execution, Egress.NONE, None, image, modules=modules)
        )

    return make


def call(sandbox: Sandbox, entry: Any, **arguments: Any) -> CallResult:
    """Run one call."""
    return sandbox.call(SandboxCall(f"call-{next(_calls)}", entry, arguments, 20))
