"""Files, internet and code in one sandbox: refused at each layer, whatever the one before said."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from trilemma.errors import SandboxRefused, SpecError
from trilemma.policy.capability import ALL, Capability, parse
from trilemma.policy.rule import Violation, violation
from trilemma.sandbox import docker as backend_module
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.views import ViewMaker

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture
def mount(tmp_path: Path, runtime: RuntimeDir) -> Iterator[Mount]:
    folder = tmp_path / "folder"
    folder.mkdir()
    views = ViewMaker(runtime.path)
    yield views.direct_view(Folder.at(folder), read_only=True, exec=True).mount
    views.close()


def eighth(image: str, mount: Mount) -> SandboxSpec:
    """A spec that was made behind the back of its own check."""
    spec = SandboxSpec(parse(["files", "code"]), Exec.FREE, Egress.NONE, mount, image)
    object.__setattr__(spec, "egress", Egress.TUNNEL)
    return spec


@pytest.mark.parametrize("order", list(itertools.permutations(Capability)))
def test_the_rule_refuses_the_third_in_whatever_order(order: tuple[Capability, ...]) -> None:
    held = frozenset(order[:2])
    assert violation(frozenset(order[:1]), held, None) is None
    assert violation(held, frozenset(order[2:]), None) is Violation.THIRD_CAPABILITY
    assert violation(held, frozenset(order[2:]), ALL) is Violation.THIRD_CAPABILITY


def test_three_mechanisms_are_no_spec() -> None:
    mount = Mount(Path("/views/1"), True, 64101, 64101)
    for capabilities in (ALL, parse(["files", "code"]), parse(["internet", "code"])):
        with pytest.raises(SpecError, match="cannot be made of mechanisms"):
            SandboxSpec(capabilities, Exec.FREE, Egress.TUNNEL, mount, "sha256:" + "1" * 64)


def test_a_container_that_amounts_to_three_is_destroyed(
    backend: DockerBackend, code_image: str, mount: Mount
) -> None:
    with pytest.raises(SandboxRefused, match=r"what it amounts to is .*files, internet, code"):
        backend.create(eighth(code_image, mount))


def test_twin_without_the_check_it_would_serve_calls(
    backend: DockerBackend, code_image: str, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_module, "verify", lambda *evidence: None)
    sandbox = backend.create(eighth(code_image, mount))
    assert not sandbox.lost
