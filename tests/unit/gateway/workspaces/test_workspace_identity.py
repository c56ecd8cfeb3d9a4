import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.errors import Denied, WorkspaceError
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces.labelling import Labelling
from trilemma.gateway.workspaces.mark import ATTRIBUTE, FILE, Mark, read_mark, write_mark
from trilemma.gateway.workspaces.opening import Mode, Opening, Origin
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.policy.capability import NONE, parse
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.views import ViewMaker

Open = Callable[..., Opening]


def write_with_code(workspaces: Workspaces, folder: Path, opening: Open, decide: Decide) -> str:
    """Give the folder the label {files, code}."""
    opened = workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), decide)
    opened.close()
    return opened.workspace


def assert_still_labelled(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    with pytest.raises(Denied, match=r"outside_grants"):
        workspaces.open(opening(folder, "files internet"), decide)


def test_mark_names_workspace_and_position(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    workspace = write_with_code(workspaces, folder, opening, decide)
    mark = read_mark(Folder.at(folder))
    assert mark is not None
    assert (mark.workspace, mark.ledger) == (workspace, ledger.ledger_id)
    assert ledger.knows(mark.seq, mark.hash)


def test_removed_mark_sheds_nothing(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    os.removexattr(folder, ATTRIBUTE)
    assert_still_labelled(workspaces, folder, opening, decide)


def test_moved_folder_sheds_nothing(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    moved = folder.rename(tmp_path / "moved")
    assert_still_labelled(workspaces, moved, opening, decide)


def test_moved_folder_without_its_mark_sheds_nothing(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    moved = folder.rename(tmp_path / "moved")
    os.removexattr(moved, ATTRIBUTE)
    assert_still_labelled(workspaces, moved, opening, decide)


def test_copied_folder_carries_its_label(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert_still_labelled(workspaces, copy, opening, decide)


def test_folder_made_anew_at_the_same_path_is_the_same_workspace(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    shutil.rmtree(folder)
    folder.mkdir()
    assert_still_labelled(workspaces, folder, opening, decide)


def test_other_folder_with_the_same_inode_number_is_new(
    workspaces: Workspaces,
    ledger: Ledger,
    folder: Path,
    tmp_path: Path,
    opening: Open,
    decide: Decide,
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    shutil.rmtree(folder)
    other = tmp_path / "other"
    other.mkdir()
    opened = workspaces.open(opening(other, "files internet"), decide)
    assert ledger.label(opened.workspace) == NONE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"null",
        b'{"workspace": "ws-1", "ledger": "other", "seq": 1, "hash": "00"}',
        b'{"workspace": "ws-1", "ledger": [], "seq": 1, "hash": "00"}',
        b'{"workspace": "ws-1", "ledger": "x", "seq": true, "hash": "00"}',
        b"[" * 2000,
    ],
)
def test_mark_that_nobody_vouches_for_counts_as_all_three(
    content: bytes, workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    os.setxattr(folder, ATTRIBUTE, content)
    with pytest.raises(Denied, match=r"trilemma workspace declare") as refused:
        workspaces.open(opening(folder, None), decide)
    assert "unknown_workspace" in refused.value.reasons


def test_forged_mark_with_this_ledgers_id_counts_as_all_three(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    forged = Mark("ws-forged", ledger.ledger_id, 1, "0" * 64)
    write_mark(Folder.at(folder), forged)
    with pytest.raises(Denied, match=r"forged"):
        workspaces.open(opening(folder), decide)


def test_mark_of_a_clean_workspace_does_not_wash_another(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    clean = tmp_path / "clean"
    clean.mkdir()
    workspaces.open(opening(clean), decide).close()
    os.setxattr(folder, ATTRIBUTE, os.getxattr(clean, ATTRIBUTE))
    with pytest.raises(Denied, match=r"its mark says"):
        workspaces.open(opening(folder, "files internet"), decide)


def test_mark_that_pairs_another_event_with_a_workspace_is_refused(
    workspaces: Workspaces,
    ledger: Ledger,
    folder: Path,
    tmp_path: Path,
    opening: Open,
    decide: Decide,
) -> None:
    workspace = write_with_code(workspaces, folder, opening, decide)
    strange = tmp_path / "strange"
    strange.mkdir()
    first = ledger.event(1)
    assert first is not None
    write_mark(Folder.at(strange), Mark(workspace, ledger.ledger_id, 1, first.hash))
    with pytest.raises(Denied):
        workspaces.open(opening(strange), decide)


def test_folder_of_a_deleted_ledger_counts_as_all_three(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    (tmp_path / "second").mkdir()
    with Ledger.open(tmp_path / "second/ledger.db") as second:
        views = ViewMaker(tmp_path / "run2")
        others = Workspaces(second, tmp_path / "second/layers", views)
        with pytest.raises(Denied, match=r"another ledger wrote it"):
            others.open(opening(folder), decide)
        workspace = Labelling(second, tmp_path / "second/layers").declare(
            folder, Origin.STRANGERS, "somebody"
        )
        assert second.label(workspace) == parse(["internet"])
        others.open(opening(folder, "files internet"), decide)


def test_folder_of_a_rolled_back_ledger_counts_as_all_three(
    folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    state, views = tmp_path / "state", ViewMaker(tmp_path / "run")
    state.mkdir()
    with Ledger.open(state / "ledger.db") as ledger:
        Workspaces(ledger, state / "layers", views).open(opening(folder), decide).close()
    saved = shutil.copytree(state, tmp_path / "saved")
    with Ledger.open(state / "ledger.db") as ledger:
        workspaces = Workspaces(ledger, state / "layers", views)
        write_with_code(workspaces, folder, opening, decide)
    shutil.rmtree(state)
    saved.rename(state)
    with Ledger.open(state / "ledger.db") as ledger:
        workspaces = Workspaces(ledger, state / "layers", views)
        with pytest.raises(Denied, match=r"rolled back"):
            workspaces.open(opening(folder, "files internet"), decide)


def test_sabotage_without_the_mark_a_rolled_back_ledger_sheds_the_label(
    folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    state, views = tmp_path / "state", ViewMaker(tmp_path / "run")
    state.mkdir()
    with Ledger.open(state / "ledger.db") as ledger:
        Workspaces(ledger, state / "layers", views).open(opening(folder), decide).close()
    saved = shutil.copytree(state, tmp_path / "saved")
    with Ledger.open(state / "ledger.db") as ledger:
        write_with_code(Workspaces(ledger, state / "layers", views), folder, opening, decide)
    shutil.rmtree(state)
    saved.rename(state)
    os.removexattr(folder, ATTRIBUTE)
    with Ledger.open(state / "ledger.db") as ledger:
        opened = Workspaces(ledger, state / "layers", views).open(
            opening(folder, "files internet"), decide
        )
        assert ledger.label(opened.workspace) == NONE


def test_overlapping_folders_are_refused(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    inner = folder / "inner"
    inner.mkdir()
    outer = workspaces.open(opening(folder), decide)
    outer.close()
    with pytest.raises(WorkspaceError, match=r"overlaps"):
        workspaces.open(opening(inner), decide)


def test_part_of_a_moved_workspace_is_refused(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    (folder / "inner/deep").mkdir(parents=True)
    write_with_code(workspaces, folder, opening, decide)
    moved = folder.rename(tmp_path / "moved")
    for part in (moved / "inner", moved / "inner/deep"):
        with pytest.raises(WorkspaceError, match=r"overlaps"):
            workspaces.open(opening(part, "files internet"), decide)


def test_folder_that_holds_a_moved_or_copied_workspace_is_refused(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    write_with_code(workspaces, folder, opening, decide)
    outer = tmp_path / "outer"
    (outer / "deep").mkdir(parents=True)
    copy = shutil.copytree(folder, outer / "deep/copy")
    with pytest.raises(WorkspaceError, match=r"overlaps .*copy"):
        workspaces.open(opening(outer, "files internet"), decide)
    shutil.rmtree(copy)
    moved = folder.rename(outer / "deep/moved")
    os.removexattr(moved, ATTRIBUTE)
    with pytest.raises(WorkspaceError, match=r"overlaps .*moved"):
        workspaces.open(opening(outer, "files internet"), decide)
    moved.rename(tmp_path / "away")
    workspaces.open(opening(outer, "files internet"), decide).close()


def test_part_of_a_copied_workspace_is_refused(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    (folder / "inner").mkdir()
    write_with_code(workspaces, folder, opening, decide)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert os.getxattr(copy, ATTRIBUTE)
    with pytest.raises(WorkspaceError, match=r"overlaps"):
        workspaces.open(opening(copy / "inner", "files internet"), decide)


def test_part_of_a_folder_of_another_ledger_counts_as_written_by_all(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    (folder / "inner").mkdir()
    write_mark(Folder.at(folder), Mark("ws-other", "another-ledger", 1, "0" * 64))
    with pytest.raises(Denied, match=r"written by files, internet and code"):
        workspaces.open(opening(folder / "inner"), decide)


def test_folder_that_holds_a_workspace_is_refused(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    inner = folder / "inner"
    inner.mkdir()
    workspaces.open(opening(inner), decide).close()
    with pytest.raises(WorkspaceError, match=r"overlaps"):
        workspaces.open(opening(folder), decide)


def test_symbolic_link_leads_to_the_same_workspace(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    one = workspaces.open(opening(folder), decide)
    two = workspaces.open(opening(link), decide)
    assert one.workspace == two.workspace


def test_folder_that_is_being_opened_by_many_gets_one_identity(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    found: list[str] = []
    start = threading.Barrier(8)

    def run(asked: Opening) -> None:
        start.wait()
        found.append(workspaces.open(asked, decide).workspace)

    threads = [threading.Thread(target=run, args=[opening(folder)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_person_declares_a_folder_clean_again(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    folder: Path,
    opening: Open,
    decide: Decide,
) -> None:
    before = write_with_code(workspaces, folder, opening, decide)
    after = labelling.declare(folder, Origin.OWN, "somebody")
    assert after != before
    workspaces.open(opening(folder, "files internet"), decide)
    declared = [e.event for e in ledger.events(workspace=after)]
    assert declared[0].principal == "somebody"
    assert declared[0].body["replaces"] == before


def test_folder_in_use_is_not_declared_anew(
    workspaces: Workspaces, labelling: Labelling, folder: Path, opening: Open, decide: Decide
) -> None:
    workspaces.open(opening(folder), decide)
    with pytest.raises(WorkspaceError, match=r"in use"):
        labelling.declare(folder, Origin.OWN, "somebody")


@pytest.mark.parametrize("path", ["missing", "work/notes.txt"])
def test_what_is_no_folder_is_refused(
    path: str,
    workspaces: Workspaces,
    folder: Path,
    tmp_path: Path,
    opening: Open,
    decide: Decide,
) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot be opened"):
        workspaces.open(opening(tmp_path / path), decide)


def test_mark_file_serves_where_there_are_no_attributes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    mark = Mark("ws-1", "ledger-1", 7, "ab")
    assert write_mark(Folder.at(folder), mark)
    assert read_mark(Folder.at(folder)) == mark
    assert (folder / FILE).exists()


def test_mark_file_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text('{"workspace": "w", "ledger": "l", "seq": 1, "hash": "h"}')
    (folder / FILE).symlink_to(real)
    mark = read_mark(Folder.at(folder))
    assert mark is not None
    assert mark.ledger == ""


@pytest.mark.parametrize("linked", [False, True])
def test_agents_own_file_is_in_nothing_that_is_written_to_directly(
    workspaces: Workspaces,
    folder: Path,
    tmp_path: Path,
    opening: Open,
    decide: Decide,
    linked: bool,
) -> None:
    file = folder / "agent.yaml"
    if linked:
        (tmp_path / "real.yaml").write_text("")
        file.symlink_to(tmp_path / "real.yaml")
    else:
        file.write_text("")
    with pytest.raises(WorkspaceError, match=r"says what the agent may do"):
        workspaces.open(opening(folder, mode=Mode.DIRECT, sources=(file,)), decide)
    workspaces.open(opening(folder, mode=Mode.LAYER, sources=(file,)), decide).close()


def test_operators_policy_is_in_nothing_that_is_written_to_directly(
    ledger: Ledger, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    policy = folder / "sub/policy.yaml"
    views = ViewMaker(tmp_path / "run")
    workspaces = Workspaces(ledger, tmp_path / "state/layers", views, rules=[policy])
    with pytest.raises(WorkspaceError, match=r"says what the agent may do"):
        workspaces.open(opening(folder, mode=Mode.DIRECT), decide)
    workspaces.open(opening(folder), decide).close()
