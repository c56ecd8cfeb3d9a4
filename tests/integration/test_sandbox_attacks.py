"""The real thing, tried in a real container of each of the seven profiles."""

import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.attacks.document import KINDS, check
from tests.integration.attacks.rows import ROWS, Row, source
from tests.integration.attacks.target import Target, make_target

from trilemma.policy.capability import Capability, CapabilitySet, ordered, show
from trilemma.sandbox.base import CallResult, ModuleEntry, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec, ToolModule
from trilemma.sandbox.views import ViewMaker

pytestmark = [pytest.mark.docker, pytest.mark.root]

SOURCE = source()
ATTACKS = ToolModule("attacks", SOURCE, hashlib.sha256(SOURCE.encode()).hexdigest())

PROFILES = [
    frozenset(profile) for size in (0, 1, 2) for profile in itertools.combinations(Capability, size)
]

calls = itertools.count()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    found = make_target(tmp_path)
    with found.listening():
        yield found


@pytest.fixture
def views(runtime: RuntimeDir) -> Iterator[ViewMaker]:
    maker = ViewMaker(runtime.path)
    yield maker
    maker.close()


def spec(profile: CapabilitySet, image: str, mount: Mount | None) -> SandboxSpec:
    """The sandbox that a profile means."""
    code = Capability.CODE in profile
    internet = Egress.TUNNEL if code else Egress.STRUCTURED
    return SandboxSpec(
        capabilities=profile,
        exec=Exec.FREE if code else Exec.NEVER,
        egress=internet if Capability.INTERNET in profile else Egress.NONE,
        mount=mount,
        image=image,
        modules=(ATTACKS,),
    )


def attempt(sandbox: Sandbox, name: str, argument: str = "") -> CallResult:
    return sandbox.call(
        SandboxCall(
            id=f"call-{next(calls)}",
            entry=ModuleEntry("attacks", "attempt"),
            arguments={"name": name, "argument": argument},
            seconds=20,
        )
    )


def outcome(sandbox: Sandbox, row: Row, argument: str) -> str:
    """How an attack ended: ``yes``, or the error's name. By its effect where there is one."""
    if row.name.startswith("exec_"):
        attempt(sandbox, "clear")
    result = attempt(sandbox, row.function, argument)
    if row.name.startswith("exec_") and result.error is not None:
        return _left_canary(sandbox, row)
    if row.name.startswith("stay_") and result.value == {"outcome": "done", "detail": ""}:
        # It is there while its call runs; the question is whether the next call finds it.
        result = attempt(sandbox, "somebody_stayed")
    assert result.error is None, (row.name, result.error)
    return "yes" if result.value["outcome"] == "done" else str(result.value["detail"])


def _left_canary(sandbox: Sandbox, row: Row) -> str:
    """The call became a program, which said nothing as a call; what did that program do?"""
    owner = attempt(sandbox, "owner")
    if owner.value["outcome"] != "done":
        return "nothing"
    gained = owner.value["detail"] != str(sandbox.uid)
    return "same user" if row.name == "exec_set_user_id" and not gained else "yes"


def try_all(sandbox: Sandbox, target: Target) -> dict[str, str]:
    with target.planted():
        return {row.name: outcome(sandbox, row, target.argument(row.argument)) for row in ROWS}


@pytest.mark.parametrize("profile", PROFILES, ids=show)
def test_every_attack_in_every_profile(
    profile: CapabilitySet,
    backend: DockerBackend,
    views: ViewMaker,
    target: Target,
    base_image: str,
    code_image: str,
) -> None:
    code = Capability.CODE in profile
    mount = None
    if Capability.FILES in profile:
        mount = views.direct_view(Folder.at(target.folder), read_only=True, exec=code).mount
    before = sorted(os.listdir(target.folder))
    sandbox = backend.create(spec(profile, code_image if code else base_image, mount))
    found = try_all(sandbox, target)
    succeeded = {name for name, ending in found.items() if ending == "yes"}
    assert succeeded == {row.name for row in ROWS if row.allowed(profile)}
    assert target.arrived == []
    assert sorted(os.listdir(target.folder)) == before
    check(", ".join(ordered(profile)) or "none", found)


def test_every_attack_where_vetted_commands_run(
    backend: DockerBackend, views: ViewMaker, target: Target, code_image: str
) -> None:
    """A container for commands holds a shell; nothing but the pinned command gets to run it."""
    profile = frozenset({Capability.FILES})
    mount = views.direct_view(Folder.at(target.folder), read_only=True, exec=False).mount
    sandbox = backend.create(replace(spec(profile, code_image, mount), exec=Exec.ONCE))
    found = try_all(sandbox, target)
    succeeded = {name for name, ending in found.items() if ending == "yes"}
    assert succeeded == {row.name for row in ROWS if row.allowed(profile)}
    assert target.arrived == []
    check(KINDS[-1], found)


def remove_specials(target: Target) -> None:
    """A folder with a fifo or a device in it is not mounted for writing at all."""
    for name in ("fifo", "node"):
        (target.folder / name).unlink()


def test_a_socket_in_the_folder_is_out_of_reach_where_it_may_be_written(
    backend: DockerBackend, views: ViewMaker, target: Target, base_image: str, code_image: str
) -> None:
    remove_specials(target)
    for more in ((), (Capability.INTERNET,), (Capability.CODE,)):
        image = code_image if more == (Capability.CODE,) else base_image
        view = views.direct_view(
            Folder.at(target.folder), read_only=False, exec=image == code_image
        )
        sandbox = backend.create(spec(frozenset({Capability.FILES, *more}), image, view.mount))
        with target.planted():
            for row in ROWS:
                if row.name.endswith("_planted"):
                    assert outcome(sandbox, row, row.argument) != "yes"
        view.close()
    assert target.arrived == []


def test_a_writable_folder_takes_files_and_nothing_that_runs(
    backend: DockerBackend, views: ViewMaker, target: Target, base_image: str
) -> None:
    remove_specials(target)
    mount = views.direct_view(Folder.at(target.folder), read_only=False, exec=False).mount
    sandbox = backend.create(spec(frozenset({Capability.FILES}), base_image, mount))
    at = {row.name: row for row in ROWS}
    assert outcome(sandbox, at["write_folder"], "/workspace/new") == "yes"
    assert (target.folder / "new").read_text() == "canary"
    for name in ("make_device", "make_fifo", "make_socket_file", "exec_copy", "load_library"):
        assert outcome(sandbox, at[name], f"/workspace/{name}") != "yes", name
    assert outcome(sandbox, at["mark"], "/workspace") != "yes"
    assert outcome(sandbox, at["write_folder"], "/workspace/out") != "yes"
    assert target.secret.read_text() == "host secret"
