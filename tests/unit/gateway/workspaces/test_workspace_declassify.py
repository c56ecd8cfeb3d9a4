"""A label loses something by one act only: a person's, for files that they name by hash."""

import hashlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import Denied, LedgerError, LedgerTampered, WorkspaceError
from trilemma.gateway.ledger import rules
from trilemma.gateway.ledger.declassified import contents_digest
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.workspaces import contents
from trilemma.gateway.workspaces.contents import Named
from trilemma.gateway.workspaces.labelling import Labelled, Labelling
from trilemma.gateway.workspaces.layers import Layer
from trilemma.gateway.workspaces.opening import Mode, Opening
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.policy.capability import NONE, parse
from trilemma.sandbox.carried.tree import Tree, read_tree

Open = Callable[..., Opening]
FILES, CODE, INTERNET = (parse([name]) for name in ("files", "code", "internet"))


@pytest.fixture
def written(
    workspaces: Workspaces, labelling: Labelling, folder: Path, opening: Open, decide: Decide
) -> Labelled:
    """A folder that an agent with files and code has written to."""
    asked = opening(folder, "files code", mode=Mode.DIRECT)
    workspaces.open(asked, decide).close()
    found = labelling.find(str(folder))
    assert found.label == FILES | CODE
    return found


def declassify(labelling: Labelling, subject: Labelled) -> Named:
    shown = labelling.contents(subject)
    labelling.declassify(subject, CODE, shown, "somebody")
    return shown


def test_a_person_takes_out_what_they_answer_for_and_it_is_recorded(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    written: Labelled,
    folder: Path,
    opening: Open,
    decide: Decide,
    tmp_path: Path,
) -> None:
    net = opening(folder, "files internet")
    with pytest.raises(Denied):
        workspaces.open(net, decide)
    declassify(labelling, written)
    assert ledger.label(written.id) == FILES
    workspaces.open(net, decide).close()
    (found,) = [r.event for r in ledger.events(kind=Kind.WORKSPACE_DECLASSIFIED)]
    digest = hashlib.sha256(b"notes\n").hexdigest()
    assert found.body["files"] == {"notes.txt": f"sha256:{digest}"}
    assert (found.principal, found.body["removes"]) == ("somebody", ["code"])
    verify(tmp_path / "state/ledger.db")
    with Ledger.open(tmp_path / "state/ledger.db") as again:
        assert again.label(written.id) == FILES


def test_a_label_shows_every_event_that_moved_it(
    labelling: Labelling, written: Labelled, folder: Path
) -> None:
    declassify(labelling, written)
    labelling.add(written, INTERNET, "somebody")
    found = labelling.find(str(folder))
    assert found.label == FILES | INTERNET
    assert [str(cause.event.kind) for cause in found.causes] == [
        "workspace.opened",
        "workspace.declassified",
        "workspace.labelled",
    ]


def test_what_is_written_afterwards_joins_again(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    written: Labelled,
    folder: Path,
    opening: Open,
    decide: Decide,
) -> None:
    declassify(labelling, written)
    workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), decide).close()
    assert ledger.label(written.id) == FILES | CODE


def test_a_layer_is_declassified_alike(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    folder: Path,
    opening: Open,
    decide: Decide,
) -> None:
    opened = workspaces.open(opening(folder, "files code"), decide)
    layer = opened.layer
    assert isinstance(layer, Layer)
    layer.upper.mkdir()
    (layer.upper / "new.txt").write_text("new")
    opened.close()
    shown = declassify(labelling, labelling.find(layer.id))
    assert list(shown.files) == ["new.txt"]
    assert ledger.label(layer.id) == FILES
    net = opening(folder, "files internet", layer=layer.id)
    workspaces.open(net, decide).close()


def test_what_is_open_is_not_declassified(
    workspaces: Workspaces,
    labelling: Labelling,
    written: Labelled,
    folder: Path,
    opening: Open,
    decide: Decide,
) -> None:
    workspaces.open(opening(folder), decide)
    for act in (declassify, lambda acts, subject: acts.add(subject, INTERNET, "somebody")):
        with pytest.raises(WorkspaceError, match="in use"):
            act(labelling, written)


def test_content_that_changed_since_it_was_shown_is_refused(
    labelling: Labelling, ledger: Ledger, written: Labelled, folder: Path
) -> None:
    shown = labelling.contents(written)
    (folder / "notes.txt").write_text("notez\n")
    with pytest.raises(WorkspaceError, match="not what was shown"):
        labelling.declassify(written, CODE, shown, "somebody")
    assert ledger.label(written.id) == FILES | CODE


def test_a_session_that_came_and_went_meanwhile_is_noticed(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    written: Labelled,
    folder: Path,
    opening: Open,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transact = ledger.transact

    def just_before(build: Any) -> Any:
        monkeypatch.undo()
        workspaces.open(opening(folder, mode=Mode.DIRECT), decide).close()
        return transact(build)

    shown = labelling.contents(written)
    monkeypatch.setattr(ledger, "transact", just_before)
    with pytest.raises(WorkspaceError, match="not what was shown"):
        labelling.declassify(written, CODE, shown, "somebody")
    assert ledger.label(written.id) == FILES | CODE


def test_sabotage_uncompared_a_script_that_nobody_saw_runs_later(
    workspaces: Workspaces,
    labelling: Labelling,
    written: Labelled,
    folder: Path,
    opening: Open,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = labelling.contents(written)
    (folder / "canary.sh").write_text("echo canary")
    monkeypatch.setattr(labelling, "contents", lambda subject: shown)
    labelling.declassify(written, CODE, shown, "somebody")
    workspaces.open(opening(folder, "files internet"), decide)
    assert (folder / "canary.sh").exists()


def event(name: str, **fields: Any) -> Event:
    files = {"notes.txt": "sha256:0"}
    body = {"files": files, "digest": contents_digest(files)}
    whole: dict[str, Any] = {
        "kind": Kind.WORKSPACE_DECLASSIFIED,
        "principal": "somebody",
        "drops": {name: CODE},
        "body": body,
    }
    return Event(**{**whole, **fields})


WRONG: dict[str, dict[str, Any]] = {
    "of a session": {"domain": "d", "session": "s"},
    "of a domain": {"domain": "d"},
    "of nobody": {"principal": ""},
    "of another kind": {"kind": Kind.WORKSPACE_LABELLED},
    "of a call": {"kind": Kind.CALL_COMMITTED},
    "of nothing": {"drops": {}},
    "of what is not in it": {"drops": {"NAME": INTERNET}},
    "of what is unknown": {"drops": {"ws-none": CODE}},
    "empty": {"drops": {"NAME": NONE}},
    "without files": {"body": {}},
    "of other files": {"body": {"files": {"a": "sha256:1"}, "digest": contents_digest({})}},
    "that joins as well": {"joins": {"other": FILES}},
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_no_other_event_takes_anything_out(wrong: str, ledger: Ledger, written: Labelled) -> None:
    fields = dict(WRONG[wrong])
    if "NAME" in fields.get("drops", {}):
        fields["drops"] = {written.id: fields["drops"]["NAME"]}
    with pytest.raises(LedgerError):
        ledger.append(event(written.id, **fields))
    assert ledger.label(written.id) == FILES | CODE


def test_verify_finds_one_that_no_rule_was_asked_about(
    ledger: Ledger, written: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as sabotage:
        sabotage.setattr(rules, "check_declassified", lambda *_: None)
        ledger.append(event(written.id, domain="d", session="s"))
    assert ledger.label(written.id) == FILES
    with pytest.raises(LedgerTampered, match="person's act"):
        verify(tmp_path / "state/ledger.db")


@pytest.mark.parametrize("change", ["bits = 7", "touch = 0", "workspace = 'ws-other'"])
def test_a_changed_declassification_is_noticed(
    change: str, labelling: Labelling, ledger: Ledger, written: Labelled, tmp_path: Path
) -> None:
    declassify(labelling, written)
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "state/ledger.db", isolation_level=None)) as raw:
        raw.execute(f"UPDATE joins SET {change} WHERE touch = 4")
    with pytest.raises(LedgerTampered):
        verify(tmp_path / "state/ledger.db")


def test_two_paths_are_never_named_as_one(labelling: Labelling, written: Labelled) -> None:
    folder = written.where
    assert not isinstance(folder, Layer)
    for name in (b"a\xff", b"a\\xff", b"a\\\\xff", b"a\n", b"a\\n"):
        Path(os.fsdecode(os.fsencode(folder.path) + b"/" + name)).write_bytes(name)
    shown = labelling.contents(written).files
    assert len(shown) == 6
    assert len({word for path, word in shown.items() if path.startswith("a")}) == 5


def test_links_folders_and_modes_are_named_and_nothing_is_followed(
    labelling: Labelling, written: Labelled, folder: Path
) -> None:
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "d").mkdir()
    (folder / "notes.txt").chmod(0o755)
    os.mkfifo(folder / "fifo")
    shown = labelling.contents(written).files
    assert shown["out"] == "link to /etc/passwd"
    assert (shown["d"], shown["fifo"]) == ("folder", "socket, fifo or device")
    assert shown["notes.txt"].endswith(" executable")


def test_a_folder_that_nobody_opened_has_no_label(labelling: Labelling, folder: Path) -> None:
    with pytest.raises(WorkspaceError, match="has no label"):
        labelling.find(str(folder))


def test_more_than_one_event_can_name_is_refused(
    labelling: Labelling, written: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.gateway.workspaces.contents.MOST", 0)
    with pytest.raises(WorkspaceError, match="cannot be named"):
        labelling.contents(written)


@pytest.fixture
def hidden(folder: Path) -> Iterator[Path]:
    """A file of an agent's, beneath what somebody mounted on its folder."""
    (folder / "sub").mkdir()
    (folder / "sub/canary").write_text("from an agent")
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder / "sub")], check=True)
    yield folder / "sub"
    subprocess.run(["umount", str(folder / "sub")], check=True)


@pytest.mark.root
def test_nobody_answers_for_what_a_mount_hides(
    labelling: Labelling, ledger: Ledger, written: Labelled, hidden: Path
) -> None:
    with pytest.raises(WorkspaceError, match="mounted on 'sub'"):
        declassify(labelling, written)
    assert ledger.label(written.id) == FILES | CODE


@pytest.mark.root
@pytest.mark.usefixtures("hidden")
def test_sabotage_a_mount_unnoticed_takes_a_file_that_nobody_saw_out_of_the_label(
    labelling: Labelling,
    ledger: Ledger,
    written: Labelled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unnoticed(root: int) -> Tree:
        return replace(read_tree(root), mounted=[])

    monkeypatch.setattr(contents, "read_tree", unnoticed)
    shown = declassify(labelling, written)
    assert not [path for path in shown.files if "canary" in path]
    assert ledger.label(written.id) == FILES
