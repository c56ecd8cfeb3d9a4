"""Snapshots: a copy of one moment with the label of what was copied, and nothing passes since."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import Denied, LedgerError, WorkspaceError
from trilemma.gateway import machinery
from trilemma.gateway.ledger import rules
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.workspaces import records
from trilemma.policy.capability import NONE, parse
from trilemma.sandbox import snapshot
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.mounts import mounted_below
from trilemma.sandbox.runtime import Instance, RuntimeDir

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

FILES_NET = {"grants": ["files", "internet"], "new_domain": True}
FILES_CODE = {"grants": ["files", "code"], "new_domain": True}


def of(folder: Path, **fields: str) -> dict[str, str]:
    return {"path": str(folder), "mode": "snapshot", **fields}


def direct(folder: Path) -> dict[str, str]:
    return {"path": str(folder), "origin": "own", "mode": "direct"}


@pytest.fixture(params=["mounted", "carried"])
def made(request: pytest.FixtureRequest, gate: Make, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gateway whose folders are mounted, or carried."""
    if request.param == "carried":
        monkeypatch.setattr(machinery, "why_carried", lambda engine: "this is a test")
    return gate()


def copies(made: Any) -> list[Path]:
    return list(made.gateway.settings.snapshots.glob("*/*"))


def test_another_domain_reads_the_clean_folder_while_a_layer_is_written(
    made: Any, folder: Path
) -> None:
    parent = made.open("write_file", "run_code", files=True, **FILES_CODE)
    parent.ok("write_file", path="a.txt", text="the parent's")
    child = made.open("read_file", "write_file", workspace=of(folder), **FILES_NET)
    assert "canary-4711" in child.ok("read_file", path="a.txt")
    assert child.call("write_file", path="b.txt", text="x").text
    parent.ok("write_file", path="later.txt", text="never passes")
    (folder / "later.txt").write_text("nor does what its owner writes")
    assert not child.call("read_file", path="later.txt").ok
    assert child.session.layer is None
    assert child.held == parse(["files"])
    (taken,) = made.events(Kind.WORKSPACE_SNAPSHOT)
    assert taken.event.body["files"] == 2
    assert made.ledger.label(taken.event.body["snapshot"]) == NONE
    child.close()
    parent.close()
    assert copies(made) == []
    assert not (folder / "b.txt").exists()


def test_a_sub_agent_of_another_domain_reads_clean_what_its_parent_writes(
    gate: Make, folder: Path
) -> None:
    read = 'CALL read_file {"path": "a.txt"}'
    reader = {
        "name": "reader",
        "model": "gullible",
        "grants": ["files"],
        "tools": ["read_file"],
        "workspace": of(folder),
    }
    crossing = {"asks": {"enum": [read]}, "answers": "free"}
    child = {"agent": "reader", "mode": "mediated", "spec": reader, **crossing}
    made = gate()
    parent = made.open("read_file", "write_file", files=True, agents=[child], **FILES_CODE)
    parent.ok("write_file", path="a.txt", text="only in the parent's layer")
    assert "canary-4711" in parent.ok("reader", task=read)
    assert "only in" in parent.ok("read_file", path="a.txt")
    assert copies(made) == []


def test_what_a_layer_holds_is_copied_with_its_label(made: Any, folder: Path) -> None:
    first = made.open("write_file", "run_code", files=True, **FILES_CODE)
    first.ok("write_file", path="new/n.txt", text="from code")
    first.ok("run_code", language="shell", code="rm -r sub && chmod 600 new/n.txt")
    layer = first.session.layer
    first.close()
    again = made.open("read_file", "list_files", workspace=of(folder), layer=layer, **FILES_CODE)
    assert "from code" in again.ok("read_file", path="new/n.txt")
    assert "sub" not in again.ok("list_files")
    assert again.held == parse(["files", "code"])
    with pytest.raises(Denied):
        made.open("read_file", workspace=of(folder), layer=layer, **FILES_NET)
    again.close()
    assert copies(made) == []


def test_a_folder_that_another_domain_writes_to_is_read_as_a_snapshot(
    gate: Make, folder: Path
) -> None:
    made = gate()
    writer = made.open("write_file", workspace=direct(folder), grants=["files"], new_domain=True)
    with pytest.raises(WorkspaceError, match="mode: snapshot"):
        made.open("read_file", files=True, **FILES_NET)
    reader = made.open("read_file", workspace=of(folder), **FILES_NET)
    writer.ok("write_file", path="a.txt", text="changed")
    assert "canary-4711" in reader.ok("read_file", path="a.txt")


def test_a_snapshot_takes_what_its_writer_holds(gate: Make, folder: Path) -> None:
    made = gate()
    made.open("run_code", workspace=direct(folder), **FILES_CODE)
    with pytest.raises(Denied) as refused:
        made.open("read_file", workspace=of(folder), **FILES_NET)
    assert "outside_grants" in refused.value.reasons
    assert copies(made) == []


def test_sabotage_without_its_label_what_code_wrote_gets_to_the_internet(
    gate: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = gate()
    made.sabotaged = True
    writer = made.open("run_code", workspace=direct(folder), **FILES_CODE)
    writer.ok("run_code", language="shell", code="echo canary-0815 > out.txt")
    recorded = records.snapshot
    unlabelled = lambda *facts: replace(recorded(*facts), joins={facts[3].id: NONE})  # noqa: E731
    monkeypatch.setattr(records, "snapshot", unlabelled)
    with pytest.raises(LedgerError, match="is less than that of"):
        made.open("read_file", workspace=of(folder), **FILES_NET)
    monkeypatch.setattr(rules, "_check_snapshot", lambda *_: None)
    reader = made.open("read_file", workspace=of(folder), **FILES_NET)
    assert "canary-0815" in reader.ok("read_file", path="out.txt")
    reader.close()
    monkeypatch.undo()


_LOCK = (
    "import fcntl, time\n"
    "file = open('a.txt')\n"
    "try: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')\n"
    "except BlockingIOError: print('taken')\n"
)


def test_a_lock_is_not_seen_on_the_other_side(gate: Make, folder: Path) -> None:
    made = gate()
    reader = made.open("run_code", workspace=of(folder, origin="own"), **FILES_CODE)
    with (folder / "a.txt").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert reader.ok("run_code", language="python", code=_LOCK).strip() == "free"


def test_sabotage_a_mount_of_the_folder_itself_shows_locks(gate: Make, folder: Path) -> None:
    made = gate()
    reader = made.open("run_code", workspace=direct(folder), **FILES_CODE)
    with (folder / "a.txt").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert reader.ok("run_code", language="python", code=_LOCK).strip() == "taken"


def test_times_of_one_side_are_not_seen_on_the_other(gate: Make, folder: Path) -> None:
    made = gate()
    reader = made.open("run_code", workspace=of(folder, origin="own"), **FILES_CODE)
    look = "import os; s = os.stat('a.txt'); print(s.st_mtime_ns, s.st_atime_ns)"
    before = reader.ok("run_code", language="python", code=look)
    os.utime(folder / "a.txt", ns=(1, 2))
    assert reader.ok("run_code", language="python", code=look) == before
    reader.ok("run_code", language="shell", code="cat a.txt; touch -a a.txt; true")
    found = (folder / "a.txt").stat()
    assert (found.st_atime_ns, found.st_mtime_ns) == (1, 2)


def test_code_as_well_gets_it_for_reading_alone(gate: Make, folder: Path) -> None:
    made = gate()
    first = made.open("read_file", workspace=of(folder, origin="own"), **FILES_CODE)
    plan = first.session._dispatch._plan
    assert plan.mount.read_only
    assert plan.executable_mount.read_only


def test_a_crash_leaves_no_copy(gate: Make, folder: Path) -> None:
    made = gate()
    made.open("read_file", workspace=of(folder, origin="own"), **FILES_NET)
    (copy,) = copies(made)
    stale = copy.parent.parent / str(replace(Instance.current(), started=1))
    copy.parent.rename(stale)
    gate().open("read_file", files=True, **FILES_NET)
    assert not stale.exists()


def test_the_janitor_takes_the_copies_along(runtime: RuntimeDir, tmp_path: Path) -> None:
    copy = tmp_path / "snapshots/1/snap-1/files"
    copy.mkdir(parents=True)
    Janitor.start(runtime, also=tmp_path / "snapshots/1").close(clean=True)
    assert not (tmp_path / "snapshots/1").exists()
    assert not runtime.path.exists()


def test_too_much_is_refused_with_the_way_on(
    gate: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_CLONE", 0)  # A file system that shares nothing.
    made = gate()
    made.gateway._started().workspaces._snapshots._limit = 20
    with pytest.raises(WorkspaceError, match="TRILEMMA_SNAPSHOT_MB"):
        made.open("read_file", workspace=of(folder), **FILES_NET)
    assert copies(made) == []
    assert mounted_below(made.gateway._machinery.runtime.path) == []
