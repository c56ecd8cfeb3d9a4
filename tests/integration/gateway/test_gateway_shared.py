"""A workspace that several sessions of one domain see: one view, written to by those who may."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trilemma.errors import SandboxError, SandboxRefused, WorkspaceError
from trilemma.gateway import machinery
from trilemma.gateway.dispatch import Dispatch
from trilemma.gateway.workspaces.shared import SharedWorkspace
from trilemma.sandbox import docker, dockersandbox, views
from trilemma.sandbox.carried import views as carried
from trilemma.sandbox.mounts import mounted_below

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]


@pytest.fixture(params=["mounted", "carried"])
def made(request: pytest.FixtureRequest, gate: Make, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gateway whose folders are mounted, or carried."""
    if request.param == "carried":
        monkeypatch.setattr(machinery, "why_carried", lambda engine: "this is a test")
    return gate()


class Child:
    """The sandboxes of another session that is shown what ``parent`` has open."""

    def __init__(self, made: Any, parent: Any, *, read_only: bool) -> None:
        session = parent.session
        self.workspace = SharedWorkspace(session.workspace, read_only=read_only)
        self._tools = session._calls._tools
        mount = self.workspace.view(exec=False).mount
        plan = replace(session._dispatch._plan, session="child", mount=mount)
        self._dispatch = Dispatch(
            *(made.gateway._machinery.pool, plan, session._dispatch._egress),
            session._dispatch._exit,
            lambda: self.workspace.watch(plan.limits.layer),
            self.workspace.mounts,
        )

    def call(self, tool: str, **arguments: Any) -> Any:
        found = self._tools[tool]
        return self._dispatch.run(found, f"call-{tool}", arguments, found.needs)

    def close(self) -> None:
        self._dispatch.close()
        self.workspace.close()


def parent_of(made: Any, **workspace: str) -> Any:
    own = {"path": str(made.folder), "origin": "own", **workspace}
    tools = ("read_file", "write_file", "list_files")
    return made.open(*tools, grants=["files"], workspace=own)


def test_who_reads_sees_what_the_other_writes_and_can_write_nothing(made: Any) -> None:
    parent = parent_of(made)
    child = Child(made, parent, read_only=True)
    parent.ok("write_file", path="news.txt", text="from the parent")
    assert "from the parent" in child.call("read_file", path="news.txt").value
    parent.ok("write_file", path="later.txt", text="and once more")
    assert "later.txt" in str(child.call("list_files").value)
    assert child.call("write_file", path="a.txt", text="x").error is not None
    assert "canary-4711" in parent.ok("read_file", path="a.txt")
    assert child.workspace.layer is None
    child.close()
    assert "from the parent" in parent.ok("read_file", path="news.txt")
    parent.close()
    assert not (made.folder / "news.txt").exists()


def test_who_writes_writes_to_the_same_layer_and_its_end_closes_nothing(made: Any) -> None:
    parent = parent_of(made)
    child = Child(made, parent, read_only=False)
    assert child.call("write_file", path="c.txt", text="from the child").error is None
    assert "from the child" in parent.ok("read_file", path="c.txt")
    child.close()
    assert "from the child" in parent.ok("read_file", path="c.txt")
    assert child.workspace.layer == parent.session.workspace.layer
    parent.close()
    assert (parent.upper / "c.txt").read_text() == "from the child"


def test_the_end_of_who_opened_it_takes_it_from_all(made: Any) -> None:
    parent = parent_of(made)
    child = Child(made, parent, read_only=True)
    assert child.call("read_file", path="a.txt").error is None
    parent.close()
    assert mounted_below(made.gateway._machinery.runtime.path) == []
    with pytest.raises(WorkspaceError, match="is closed"):
        child.workspace.view(exec=False)
    with pytest.raises(SandboxError):
        child.call("read_file", path="a.txt")


def test_a_folder_that_is_mounted_itself_is_shared_alike(gate: Make) -> None:
    made = gate()
    parent = parent_of(made, mode="direct")
    child = Child(made, parent, read_only=True)
    parent.ok("write_file", path="news.txt", text="from the parent")
    assert "from the parent" in child.call("read_file", path="news.txt").value
    assert child.call("write_file", path="x.txt", text="x").error is not None
    assert not (made.folder / "x.txt").exists()
    child.close()


def test_what_was_shared_for_reading_is_never_passed_on_for_writing(gate: Make) -> None:
    parent = parent_of(gate())
    shared = SharedWorkspace(parent.session.workspace, read_only=True)
    assert SharedWorkspace(shared, read_only=True).read_only
    with pytest.raises(WorkspaceError, match="for reading"):
        SharedWorkspace(shared, read_only=False)


def test_a_view_that_can_be_written_to_is_refused_to_who_only_reads(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = parent_of(made)
    _sabotage(monkeypatch)
    child = Child(made, parent, read_only=True)
    with pytest.raises(SandboxRefused, match="workspace"):
        child.call("write_file", path="a.txt", text="x")
    assert "canary-4711" in parent.ok("read_file", path="a.txt")


def test_sabotage_unverified_the_writer_gets_through(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = parent_of(made)
    _sabotage(monkeypatch)
    monkeypatch.setattr(docker, "verify", lambda *_: None)
    monkeypatch.setattr(dockersandbox, "verify_arrival", lambda *_: None)
    child = Child(made, parent, read_only=True)
    assert child.call("write_file", path="a.txt", text="gone").error is None
    assert "gone" in parent.ok("read_file", path="a.txt")


def _sabotage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is for reading is a mount that can be written to, and says that it is not."""

    def written(self: Any, view: Any, *, exec: bool) -> Any:
        return views.View(
            replace(view.mount, read_only=True), lambda: None, copied=False, hidden=()
        )

    monkeypatch.setattr(views.ViewMaker, "read_only_view", written)
    monkeypatch.setattr(carried.CarriedViews, "read_only_view", written)
