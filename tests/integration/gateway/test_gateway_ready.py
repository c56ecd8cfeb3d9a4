"""Sessions that find their sandbox ready: whose it becomes, and what is left when they end."""

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxLost
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.settings import Settings
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.dockersandbox import DockerSandbox
from trilemma.sandbox.leaving import Leaving
from trilemma.sandbox.mounts import mounted_below
from trilemma.sandbox.spec import Mount

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

WRITE_ON = "while true; do echo x >> /workspace/written; done"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, warm=1)


@pytest.fixture
def ready(gate: Make, folder: Path) -> Any:
    """A gateway that has had one session, and stands ready for the next."""
    made = gate()
    session = made.open("list_files", files=True, grants=["files"], new_domain=True)
    session.ok("list_files")
    session.close()
    asyncio.run(made.gateway.rest())
    return made


def containers(made: Any, engine: Any) -> set[str]:
    instance = made.gateway._machinery.runtime.instance
    return {c["Id"] for c in engine.containers(f"dev.trilemma.instance={instance}")}


def slots(made: Any) -> list[Path]:
    return mounted_below(made.gateway._machinery.runtime.path / "slots")


def test_the_next_session_gets_the_sandbox_that_stood_ready(ready: Any, engine: Any) -> None:
    (standing,) = containers(ready, engine)
    session = ready.open("write_file", files=True, grants=["files"], new_domain=True)
    session.ok("write_file", path="new.txt", text="new")
    (leased,) = ready.gateway._machinery.pool._leased.values()
    assert leased.result().id == standing
    assert (session.upper / "new.txt").read_text() == "new"
    session.close()
    asyncio.run(ready.gateway.rest())
    after = containers(ready, engine)
    assert len(after) == 1
    assert standing not in after
    # The slot of the one that stands ready now, and no view in it.
    assert len(slots(ready)) == 1


def test_many_at_once_each_see_their_own_folder_alone(ready: Any, tmp_path: Path) -> None:
    def visit(number: int) -> None:
        folder = tmp_path / f"folder-{number}"
        folder.mkdir()
        (folder / f"mine-{number}").touch()
        session = ready.open(
            "list_files", workspace={"path": str(folder)}, grants=["files"], new_domain=True
        )
        assert json.loads(session.ok("list_files")) == [f"mine-{number}"]
        session.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(visit, range(6)))


def test_nothing_writes_to_a_folder_after_its_session_was_closed(ready: Any, folder: Path) -> None:
    direct = {"path": str(folder), "mode": "direct"}
    session = ready.open("run_code", workspace=direct, grants=["files", "code"], new_domain=True)
    folder.chmod(0o777)
    calling = threading.Thread(
        target=session.call, args=("run_code",), kwargs={"language": "shell", "code": WRITE_ON}
    )
    calling.start()
    written = folder / "written"
    while not written.exists():
        assert calling.is_alive()
    session.close()
    size = written.stat().st_size
    calling.join()
    # Somebody else may have it now, and nobody adds to it behind their back.
    other = ready.open("read_file", workspace=direct, grants=["files", "code"], new_domain=True)
    assert "canary-4711" in other.ok("read_file", path="a.txt")
    assert written.stat().st_size == size
    other.close()


def write_after_the_end(ready: Any, folder: Path) -> bool:
    """Whether a sandbox writes to a folder that its session has given back."""
    folder.chmod(0o777)
    direct = {"path": str(folder), "mode": "direct"}
    session = ready.open("list_files", workspace=direct, grants=["files"], new_domain=True)
    session.ok("list_files")
    (leased,) = ready.gateway._machinery.pool._leased.values()
    sandbox = leased.result()
    session.close()
    # From here on another domain may have the folder.
    write = BuiltinEntry("write_file")
    with suppress(SandboxLost):
        sandbox.call(SandboxCall("late", write, {"path": "late.txt", "text": "x"}, 20.0))
    return (folder / "late.txt").exists()


def test_the_folder_of_a_closed_session_is_out_of_its_sandbox_s_reach(
    ready: Any, folder: Path
) -> None:
    assert not write_after_the_end(ready, folder)


def test_twin_without_that_end_it_writes_behind_the_next_one_s_back(
    ready: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Leaving, "end", lambda self, future, wait: kept.append(future))
    kept: list[Any] = []
    assert write_after_the_end(ready, folder)
    monkeypatch.undo()
    for future in kept:
        ready.gateway._machinery.pool._leaving.end(future, wait=True)


def test_a_gateway_that_has_no_more_sandboxes_says_what_to_do(gate: Make, tmp_path: Path) -> None:
    made = gate()
    made.gateway.settings = replace(made.gateway.settings, sandboxes=2)
    sessions = []
    for number in range(3):
        folder = tmp_path / f"folder-{number}"
        folder.mkdir()
        workspace = {"path": str(folder)}
        sessions.append(
            made.open("list_files", workspace=workspace, grants=["files"], new_domain=True)
        )
    for session in sessions[:2]:
        session.ok("list_files")
    refused = sessions[2].call("list_files")
    assert not refused.ok
    assert "may run 2 sandboxes" in refused.text
    assert "TRILEMMA_SANDBOXES" in refused.text
    sessions[0].close()
    sessions[2].ok("list_files")


def test_a_session_that_ends_while_its_folder_is_being_shown(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call's sandbox has the view already, and the gateway has not looked at it yet."""
    show = DockerSandbox.show
    shown, go_on = threading.Event(), threading.Event()

    def slowly(self: DockerSandbox, view: Mount) -> None:
        show(self, view)
        shown.set()
        assert go_on.wait(30)

    monkeypatch.setattr(DockerSandbox, "show", slowly)
    session = ready.open("list_files", files=True, grants=["files"], new_domain=True)
    assert shown.wait(30)
    closing = threading.Thread(target=session.close)
    closing.start()
    closed = len(ready.events(Kind.WORKSPACE_CLOSED))
    go_on.set()
    closing.join()
    # Recorded as closed only when nothing had it any more.
    assert len(ready.events(Kind.WORKSPACE_CLOSED)) == closed + 1
    asyncio.run(ready.gateway.rest())
    assert len(slots(ready)) == 1
    monkeypatch.undo()
    after = ready.open("list_files", files=True, grants=["files"], new_domain=True)
    assert "a.txt" in after.ok("list_files")


def test_a_gateway_that_ends_takes_all_with_it(ready: Any, engine: Any) -> None:
    ready.open("list_files", files=True, grants=["files"], new_domain=True).ok("list_files")
    instance = ready.gateway._machinery.runtime
    ready.close()
    assert engine.containers(f"dev.trilemma.instance={instance.instance}") == ()
    assert mounted_below(instance.path) == []
    assert not instance.path.exists()
