"""Sessions whose folder is carried in and out, since it cannot be mounted: the same promises."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import Denied, SandboxRefused, SpecError, WorkspaceError
from trilemma.gateway import machinery
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces.review import Review
from trilemma.policy.capability import parse
from trilemma.sandbox import mounted
from trilemma.sandbox.carried.volume import Volume
from trilemma.sandbox.container import WORKSPACE
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.images import Kind
from trilemma.sandbox.leftovers import remove_containers, sweep
from trilemma.sandbox.proc import mounts
from trilemma.sandbox.runtime import Instance, live_instances
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]
WHY = "this machine is made of paper"
MIB = 1024 * 1024
INSTANCE = "dev.trilemma.instance"


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing can be mounted."""
    monkeypatch.setattr(machinery, "why_carried", lambda engine: WHY)


@pytest.fixture
def left(engine: Engine) -> Callable[[Any], int]:
    """How many containers and volumes of a gateway there are."""

    def count(made: Any) -> int:
        label = f"{INSTANCE}={made.gateway._machinery.runtime.instance}"
        return len(engine.containers(label)) + len(engine.volumes(label))

    return count


def told(made: Any, session: Any) -> dict[str, str]:
    """What the person is told of a session's layer: path to action, or why it is refused."""
    review = Review(made.ledger, made.gateway.settings.layers)
    changes = review.diff(session.session.workspace.layer)
    rows = {change.path: str(change.action) for change in changes.changes}
    return rows | {refused.path: refused.why for refused in changes.refused}


def test_files_and_code_work_on_a_copy_whose_changes_wait_for_a_person(
    gate: Make, folder: Path, left: Callable[[Any], int]
) -> None:
    made = gate()
    (folder / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (folder / "run.sh").chmod(0o755)
    session = made.open("read_file", "write_file", "run_code", grants=["files", "code"], files=True)
    assert "canary-4711" in session.ok("read_file", path="a.txt")
    session.ok("write_file", path="new/n.txt", text="n")
    ran = session.ok("run_code", language="shell", code="./run.sh && rm -r sub && cat new/n.txt")
    assert "ran" in ran
    assert "made of paper" not in "".join(session.session.notes)
    session.close()
    assert sorted(os.listdir(folder)) == ["a.txt", "run.sh", "sub"]
    assert told(made, session) == {
        "new": "add",
        "new/n.txt": "add",
        "sub": "delete",
        "sub/b.txt": "delete",
    }
    assert made.ledger.label(session.session.layer) == parse(["files", "code"])
    made.close()
    assert left(made) == 0


def test_a_layer_goes_on_where_it_was_left(gate: Make) -> None:
    made = gate()
    first = made.open("write_file", grants=["files"], files=True)
    first.ok("write_file", path="a.txt", text="mine")
    first.close()
    layer = first.session.layer
    again = made.open("read_file", "write_file", grants=["files"], files=True, layer=layer)
    assert "mine" in again.ok("read_file", path="a.txt")
    with pytest.raises(WorkspaceError, match="is in use"):
        made.open("read_file", grants=["files"], files=True, layer=layer, new_domain=True)
    again.ok("write_file", path="b.txt", text="more")
    again.close()
    assert told(made, again) == {"a.txt": "modify", "b.txt": "add"}


def test_the_engine_is_asked_once_which_image_carries(
    gate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find = machinery.image

    def ask(kind: Kind) -> str:
        asked.append(kind)
        return find(kind)

    monkeypatch.setattr(machinery, "image", ask)
    made = gate()
    for _ in range(2):
        made.open("read_file", grants=["files"], files=True).close()
    assert sorted(asked) == sorted(set(asked))
    assert "base" in asked


def test_a_layer_s_label_is_refused_to_a_domain_that_cannot_take_it(gate: Make) -> None:
    made = gate()
    first = made.open("run_code", grants=["files", "code"], files=True)
    first.close()
    with pytest.raises(Denied):
        made.open(
            *("read_file", "http_fetch"),
            grants=["files", "internet"],
            files=True,
            layer=first.session.layer,
            new_domain=True,
        )


def test_the_folder_itself_is_not_to_be_had(gate: Make, folder: Path) -> None:
    with pytest.raises(WorkspaceError, match=f"cannot be mounted directly: {WHY}") as refused:
        gate().open(
            "write_file",
            grants=["files"],
            workspace={"path": str(folder), "origin": "own", "mode": "direct"},
        )
    assert "\n" not in str(refused.value)


def test_a_folder_too_large_is_refused_with_sizes_and_setting(
    gate: Make, folder: Path, settings: Any, left: Callable[[Any], int]
) -> None:
    object.__setattr__(settings, "carried_mb", 1)
    with (folder / "large").open("wb") as large:
        large.truncate(2 * MIB)
    made = gate()
    with pytest.raises(WorkspaceError, match=r"2 MiB in .* 1 MiB .*TRILEMMA_CARRIED_MB"):
        made.open("read_file", grants=["files"], files=True)
    # The engine may take a moment to forget the container.
    made.close()
    assert left(made) == 0


def test_what_does_not_fit_is_refused_to_the_agent(gate: Make, settings: Any) -> None:
    object.__setattr__(settings, "carried_mb", 1)
    made = gate()
    session = made.open("write_file", "run_code", grants=["files", "code"], files=True)
    code = "truncate -s 2M holes; head -c 3000000 /dev/zero > big; echo $?"
    assert "No space left" in session.ok("run_code", language="shell", code=code)
    session.close()
    found = told(made, session)
    assert "holes in them count" in found.pop("holes")
    assert found == {"big": "add"}


COMMAND = {
    "command": "head",
    "description": "The beginning of a file.",
    "executable": "/usr/bin/head",
    "sha256": "0" * 64,
    "needs": ["files"],
    "argv": ["--", "{path}"],
    "arguments": {"path": {"type": "string"}},
}


@pytest.mark.parametrize("grants", [["files"], ["files", "code"]])
def test_a_vetted_command_finds_no_workspace_that_may_execute(
    gate: Make, grants: list[str]
) -> None:
    session = gate().open(COMMAND, "read_file", grants=grants, files=True)
    refused = session.call("head", path="a.txt")
    assert not refused.ok
    # Without code the workspace is noexec, and the command gets as far as its hash.
    assert ("leave code out of the grants" in refused.text) is ("code" in grants)
    assert ("sha256" in refused.text) is ("code" not in grants)
    assert "canary" in session.ok("read_file", path="a.txt")


def of_session(made: Any, engine: Engine) -> list[frozenset[str]]:
    """Flags of the workspace in each of a gateway's containers."""
    label = f"{INSTANCE}={made.gateway._machinery.runtime.instance}"
    pids = [first_process(engine.inspect(c["Id"])) for c in engine.containers(label)]
    return [m.flags for pid in pids for m in mounts(pid) if m.target == WORKSPACE]


@pytest.mark.parametrize("grants", [["files"], ["files", "internet"], ["files", "code"]])
def test_only_grants_with_code_make_a_workspace_that_executes(
    gate: Make, engine: Engine, grants: list[str]
) -> None:
    made = gate()
    session = made.open("read_file", grants=grants, files=True)
    session.ok("read_file", path="a.txt")
    found = of_session(made, engine)
    assert len(found) >= 2
    for flags in found:
        assert {"nosuid", "nodev"} <= flags
        assert ("noexec" in flags) is ("code" not in grants)


def spec(volume: Volume, image: str, *, claims: bool) -> SandboxSpec:
    """A locked sandbox whose spec says that its workspace is ``noexec``, or that it is not."""
    mount = volume.mount
    object.__setattr__(mount, "volume_exec", claims)
    return SandboxSpec(parse(["files"]), Exec.NEVER, Egress.NONE, mount, image)


@pytest.fixture
def loose(backend: DockerBackend) -> Iterator[Volume]:
    """A volume without ``noexec``."""
    volume = Volume.make(backend, MIB, executable=True)
    yield volume
    backend.close()
    remove_containers(backend.engine, backend.instance)


def test_a_volume_that_is_not_what_its_spec_says_is_refused(
    backend: DockerBackend, base_image: str, loose: Volume
) -> None:
    with pytest.raises(SandboxRefused, match="the mount /workspace"):
        backend.create(spec(loose, base_image, claims=False))


def test_sabotage_without_the_rule_of_its_flags_it_is_used(
    backend: DockerBackend, base_image: str, loose: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounted, "workspace_flags", lambda spec: ())
    sandbox = backend.create(spec(loose, base_image, claims=False))
    assert not sandbox.lost
    sandbox.close()


def test_a_vetted_command_is_never_made_over_it(loose: Volume) -> None:
    with pytest.raises(SpecError, match="vetted command"):
        SandboxSpec(parse(["files"]), Exec.ONCE, Egress.NONE, loose.mount, "sha256:x")


def test_special_files_stay_outside_and_are_said(gate: Make, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent.sock"))
    os.mkfifo(folder / "fifo")
    session = gate().open("list_files", grants=["files"], files=True)
    listed = session.ok("list_files", path=".")
    assert "a.txt" in listed
    assert "sock" not in listed
    assert "fifo" not in listed
    assert any("2 sockets, fifos or devices" in note for note in session.session.notes)


def test_a_lost_carrier_is_said_and_not_passed_over(
    gate: Make, engine: Engine, left: Callable[[Any], int]
) -> None:
    made = gate()
    session = made.open("write_file", grants=["files"], files=True)
    view = session.session.workspace.view(exec=False)
    session.ok("write_file", path="one.txt", text="1")

    def packed() -> bool:
        view.pack()  # It does nothing while that is being done.
        return bool((session.upper / "one.txt").exists())

    until(packed)
    session.ok("write_file", path="two.txt", text="2")
    (cargo,) = made.gateway._machinery.workspaces._views._cargoes.values()
    engine.remove(cargo._carrier._sandbox.id)
    session.close()
    found = told(made, session)
    assert found.pop("one.txt") == "add"
    assert "could not be brought back" in found.pop(".")
    assert not found
    made.close()
    assert left(made) == 0


GATEWAY = """
import asyncio, json, sys, time
from pathlib import Path
from trilemma.gateway import machinery
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.inference.messages import ToolCall

machinery.why_carried = lambda engine: "as the test says"
places = dict(zip(("state", "config", "cache", "runtime", "folder"), map(Path, sys.argv[1:])))
folder = places.pop("folder")
gateway = LocalGateway.start(Settings(**places, durability="normal", warm=0))

async def run():
    spec = read_agent(
        {"model": "gullible", "tools": ["write_file"], "grants": ["files"],
         "workspace": {"path": str(folder), "origin": "own"}}, origin="test", base=folder)
    session = await gateway.open(spec)
    for number in range(1000):
        call = ToolCall("c", "write_file", json.dumps({"path": f"{number}.txt", "text": "x"}))
        assert (await session.call_tool(call)).ok
        print(session.layer, flush=True)
        await asyncio.sleep(0.01)

asyncio.run(run())
"""


def test_a_killed_gateway_leaves_nothing_but_what_was_packed(
    settings: Any, folder: Path, engine: Engine
) -> None:
    places = [settings.state, settings.config, settings.cache, settings.runtime, folder]
    with subprocess.Popen(
        [sys.executable, "-c", GATEWAY, *map(str, places)], stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdout is not None
        layer = gateway.stdout.readline().strip()
        until(lambda: (settings.layers / layer / "upper/0.txt").exists())
        (instance,) = live_instances(settings.runtime)
        label = f"{INSTANCE}={instance}"
        assert engine.volumes(label)
        gateway.send_signal(signal.SIGKILL)
    until(lambda: not engine.containers(label) and not engine.volumes(label))
    until(lambda: not list(settings.runtime.iterdir()))
    ledger = Ledger.open(settings.ledger)
    try:
        review = Review(ledger, settings.layers)
        changes = review.diff(review.find(layer))
        assert "0.txt" in [change.path for change in changes.changes]
        assert ledger.label(layer) == parse(["files"])
    finally:
        ledger.close()


def test_a_volume_whose_gateway_and_janitor_died_is_swept(engine: Engine, tmp_path: Path) -> None:
    dead = replace(Instance.current(), started=1)
    name = f"trilemma-test-{dead}"
    engine.create_volume(name, {"type": "tmpfs", "device": "tmpfs"}, {INSTANCE: str(dead)})
    sweep(tmp_path, engine)
    assert name not in [volume["Name"] for volume in engine.volumes(INSTANCE)]


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_vanishes_from_the_folder_meanwhile_is_no_deletion(gate: Make, folder: Path) -> None:
    made = gate()
    session = made.open("list_files", grants=["files"], files=True)
    session.ok("list_files", path=".")
    shutil.rmtree(folder / "sub")
    session.close()
    assert told(made, session) == {}
