"""A person's side, on layers that a real overlay wrote."""

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trilemma.errors import LedgerError, WorkspaceError
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces.changes import Action, Changes
from trilemma.gateway.workspaces.layers import Layer
from trilemma.gateway.workspaces.opening import Mode, Opening
from trilemma.gateway.workspaces.registry import Workspaces
from trilemma.gateway.workspaces.review import Review
from trilemma.gateway.workspaces.shared import SessionWorkspace
from trilemma.policy.capability import parse
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest
from trilemma.sandbox.views import ViewMaker

pytestmark = pytest.mark.root

STRANGER = 4321


def allow(request: AccessRequest) -> Decision:
    """What is under test here comes after the decision."""
    return Decision(Verdict.ALLOW, (), "sha256:none", taking=request.taking)


@dataclass
class Bench:
    """A folder, its ledger, and sessions that change it."""

    folder: Path
    ledger: Ledger
    workspaces: Workspaces
    review: Review
    sessions: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def open(self, mode: Mode = Mode.LAYER, layer: str | None = None) -> SessionWorkspace:
        number = next(self.sessions)
        opening = Opening(
            path=self.folder,
            principal="agent",
            domain=f"domain-{number}",
            session=f"session-{number}",
            grants=parse(["files", "code"]),
            mode=mode,
            layer=layer,
        )
        return self.workspaces.open(opening, allow)

    def run(self, script: str, layer: str | None = None) -> Layer:
        """An agent's session: runs the script in its view, as the sandbox's user."""
        opened = self.open(layer=layer)
        view = opened.view(exec=True)
        done = subprocess.run(
            ["/bin/bash", "-ec", script],
            cwd=view.mount.source,
            user=view.mount.uid,
            group=view.mount.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        opened.close()
        assert (done.returncode, done.stderr) == (0, "")
        assert opened.layer is not None
        return opened.layer

    def diff(self, layer: Layer) -> Changes:
        return self.review.diff(layer)

    def apply(self, layer: Layer) -> None:
        assert self.review.apply(self.diff(layer), "person").left == ()

    def events(self, kind: Kind) -> list[Event]:
        return [recorded.event for recorded in self.ledger.events(kind=kind)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "work"
    (folder / "src").mkdir(parents=True)
    (folder / "src/main.py").write_text("print('old')\n")
    (folder / "old.txt").write_text("old\n")
    folder.chmod(0o700)
    state = tmp_path / "state"
    state.mkdir()
    views = ViewMaker(tmp_path / "run")
    with Ledger.open(state / "ledger.db") as ledger:
        workspaces = Workspaces(ledger, state / "layers", views)
        yield Bench(folder, ledger, workspaces, Review(ledger, state / "layers"))
    views.close()


def actions(changes: Changes) -> dict[str, Action]:
    return {change.path: change.action for change in changes.changes}


def refused(changes: Changes) -> dict[str, str]:
    return {item.path: item.why for item in changes.refused}


def test_diff_names_what_was_added_changed_and_deleted(bench: Bench) -> None:
    layer = bench.run("echo new > src/main.py; rm old.txt; mkdir doc; echo d > doc/d; touch src")
    assert actions(bench.diff(layer)) == {
        "src/main.py": Action.MODIFY,
        "old.txt": Action.DELETE,
        "doc": Action.ADD,
        "doc/d": Action.ADD,
    }


def test_file_that_ends_as_it_was_is_no_change(bench: Bench) -> None:
    layer = bench.run("cat old.txt > t; echo x > old.txt; cat t > old.txt; rm t")
    assert not bench.diff(layer)


def test_deleted_directory_names_every_file_in_it(bench: Bench) -> None:
    layer = bench.run("rm -r src")
    assert actions(bench.diff(layer)) == {"src": Action.DELETE, "src/main.py": Action.DELETE}


def test_directory_made_anew_hides_what_was_in_it(bench: Bench) -> None:
    layer = bench.run("rm -r src; mkdir src; echo n > src/n")
    assert actions(bench.diff(layer)) == {"src/main.py": Action.DELETE, "src/n": Action.ADD}
    bench.apply(layer)
    assert os.listdir(bench.folder / "src") == ["n"]


@pytest.mark.parametrize("owner", [0, STRANGER])
def test_applied_files_belong_to_the_folders_owner(owner: int, bench: Bench) -> None:
    for path in (bench.folder, *bench.folder.rglob("*")):
        os.chown(path, owner, owner)
    layer = bench.run("echo new > src/main.py; mkdir -p a/b; echo c > a/b/c; ln -s c a/b/l")
    bench.apply(layer)
    for path in (bench.folder, *bench.folder.rglob("*")):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (owner, owner), path
    assert (bench.folder / "a/b/l").read_text() == "c\n"
    assert not layer.place.exists()


def test_replaced_file_keeps_its_own_owner_and_gets_the_shown_mode(bench: Bench) -> None:
    os.chown(bench.folder / "old.txt", STRANGER, STRANGER)
    layer = bench.run("rm old.txt; echo new > old.txt; chmod 640 old.txt")
    bench.apply(layer)
    found = (bench.folder / "old.txt").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (STRANGER, 0o640)


def test_set_user_id_bits_are_never_applied(bench: Bench) -> None:
    layer = bench.run("cp /bin/true t; chmod 6755 t")
    bench.apply(layer)
    assert stat.S_IMODE((bench.folder / "t").stat().st_mode) == 0o755


def test_kinds_may_change_places(bench: Bench) -> None:
    layer = bench.run("rm -r src; echo f > src; rm old.txt; mkdir old.txt; echo x > old.txt/x")
    bench.apply(layer)
    assert (bench.folder / "src").read_text() == "f\n"
    assert (bench.folder / "old.txt/x").read_text() == "x\n"


def test_what_runs_by_itself_comes_first(bench: Bench) -> None:
    layer = bench.run(
        "echo a > a.txt; mkdir -p .git/hooks; echo h > .git/hooks/post-checkout; echo m > Makefile;"
        "echo x > run; chmod 755 run; echo p > evil.pth; echo c > src/conftest.py"
    )
    changes = bench.diff(layer)
    runs = [change.path for change in changes.changes if change.runs]
    assert runs == [change.path for change in changes.changes][: len(runs)]
    expected = {".git", ".git/hooks", ".git/hooks/post-checkout", "Makefile", "run", "evil.pth"}
    assert set(runs) == expected | {"src/conftest.py"}
    text = bench.review.render(changes)
    assert text.index("post-checkout") < text.index("a.txt")


def test_text_of_a_layer_cannot_rewrite_the_terminal(bench: Bench) -> None:
    layer = bench.run(
        r"printf 'ok\n\033[2J\033[1;1Hnothing to see\r\n' > note;"
        r"printf x > $'a\033[31m\nD old.txt'"
    )
    text = bench.review.render(bench.diff(layer))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\\x1b[2J" in text
    assert "a\\x1b[31m\\nD old.txt" in text


def test_text_diff_shows_both_sides(bench: Bench) -> None:
    layer = bench.run("echo \"print('new')\" > src/main.py; head -c 100 /dev/zero > zeros")
    text = bench.review.render(bench.diff(layer))
    assert "-print('old')" in text
    assert "+print('new')" in text
    assert "(no text: nothing -> 100 bytes)" in text


def test_link_that_leads_out_is_never_applied(bench: Bench, tmp_path: Path) -> None:
    layer = bench.run(
        "ln -s /etc/passwd abs; ln -s ../secret up; ln -s src/../../secret round;"
        "ln -s main.py src/in"
    )
    changes = bench.diff(layer)
    assert set(refused(changes)) == {"abs", "up", "round"}
    assert actions(changes) == {"src/in": Action.ADD}
    bench.review.apply(changes, "person")
    assert sorted(os.listdir(bench.folder)) == ["old.txt", "src"]
    assert (bench.folder / "src/in").read_text() == "print('old')\n"
    assert layer.place.exists()


def test_a_link_through_a_link_of_the_owner_s_that_leads_out_is_never_applied(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("canary")
    (bench.folder / "out").symlink_to(tmp_path / "outside")
    (bench.folder / "src/again").symlink_to("../out")
    (bench.folder / "here").symlink_to("src")
    layer = bench.run(
        "ln -s out/secret one; ln -s ../out/secret src/two; ln -s src/again/secret three;"
        "ln -s here/main.py inside; ln -s loop loop; ln -s out four; ln -s here/again/x five"
    )
    changes = bench.diff(layer)
    assert set(refused(changes)) == {"one", "src/two", "three", "four", "five"}
    bench.review.apply(changes, "person")
    assert (bench.folder / "inside").read_text() == "print('old')\n"
    assert not os.path.lexists(bench.folder / "one")


def test_sabotage_read_by_its_text_alone_such_a_link_leads_out(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("canary")
    (bench.folder / "out").symlink_to(tmp_path)
    layer = bench.run("ln -s out/secret one")
    never = lambda path, target, roots: False  # noqa: E731
    monkeypatch.setattr("trilemma.gateway.workspaces.diff.leads_out", never)
    bench.review.apply(bench.diff(layer), "person")
    assert (bench.folder / "one").read_text() == "canary"


def test_planted_special_files_are_never_applied(bench: Bench) -> None:
    layer = bench.run("mkfifo pipe; echo k > k")
    os.mknod(layer.upper / "s", stat.S_IFSOCK | 0o666)
    changes = bench.diff(layer)
    assert set(refused(changes)) == {"pipe", "s"}
    bench.review.apply(changes, "person")
    assert sorted(os.listdir(bench.folder)) == ["k", "old.txt", "src"]


def test_device_that_appears_in_a_layer_is_never_applied(bench: Bench) -> None:
    layer = bench.run("echo k > k")
    os.mknod(layer.upper / "disk", stat.S_IFBLK | 0o666, os.makedev(254, 0))
    changes = bench.diff(layer)
    assert set(refused(changes)) == {"disk"}
    bench.review.apply(changes, "person")
    assert sorted(os.listdir(bench.folder)) == ["k", "old.txt", "src"]


def test_socket_of_the_owner_outlives_a_deleted_directory(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bench.folder / "src/sock"))
        layer = bench.run("rm -r src")
        changes = bench.diff(layer)
        assert set(refused(changes)) == {"src/sock"}
        left = bench.review.apply(changes, "person").left
        assert [item.path for item in left] == ["src"]
        assert os.listdir(bench.folder / "src") == ["sock"]


def swap_for_link(path: Path, target: Path) -> None:
    path.unlink() if path.is_file() else path.rmdir()
    path.symlink_to(target)


def test_file_swapped_for_a_link_after_the_diff_is_not_followed(
    bench: Bench, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    layer = bench.run("echo new > fresh; mkdir d; echo x > d/x")
    changes = bench.diff(layer)
    swap_for_link(layer.upper / "fresh", secret)
    with pytest.raises(WorkspaceError, match=r"not what was shown"):
        bench.review.apply(changes, "person")
    assert sorted(os.listdir(bench.folder)) == ["old.txt", "src"]
    assert bench.events(Kind.LAYER_APPLIED) == []


def test_folder_swapped_for_a_link_does_not_lead_the_write_out(
    bench: Bench, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layer = bench.run("echo new > src/fresh")
    changes = bench.diff(layer)
    (bench.folder / "src/main.py").unlink()
    swap_for_link(bench.folder / "src", outside)
    with pytest.raises(WorkspaceError, match=r"not what was shown"):
        bench.review.apply(changes, "person")
    assert os.listdir(outside) == []


def test_sabotage_a_plain_copy_follows_both_links(bench: Bench, tmp_path: Path) -> None:
    """What apply would do without its care, done by cp, reaches out of the folder both ways."""
    secret, outside = tmp_path / "secret", tmp_path / "outside"
    secret.write_text("canary")
    outside.mkdir()
    layer = bench.run("echo new > src/fresh")
    swap_for_link(layer.upper / "src/fresh", secret)
    (bench.folder / "src/main.py").unlink()
    swap_for_link(bench.folder / "src", outside)
    subprocess.run(["cp", layer.upper / "src/fresh", bench.folder / "src/"], check=True)
    assert (outside / "fresh").read_text() == "canary"


@pytest.mark.parametrize("side", ["layer", "folder"])
def test_nothing_is_applied_once_either_side_moved_on(side: str, bench: Bench) -> None:
    layer = bench.run("echo new > old.txt; echo a > a.txt")
    changes = bench.diff(layer)
    moved = layer.upper if side == "layer" else bench.folder
    (moved / "old.txt").write_text("something else\n")
    with pytest.raises(WorkspaceError, match=r"'old\.txt' is not what was shown"):
        bench.review.apply(changes, "person")
    assert sorted(os.listdir(bench.folder)) == ["old.txt", "src"]


def test_file_that_changed_after_the_layer_began_is_marked_stale(bench: Bench) -> None:
    opened = bench.open()
    view = opened.view(exec=False)
    (bench.folder / "src/main.py").write_text("print('by hand')\n")
    (view.mount.source / "old.txt").write_text("agent\n")
    (view.mount.source / "src/main.py").write_text("agent\n")
    opened.close()
    assert opened.layer is not None
    changes = bench.diff(opened.layer)
    assert {c.path: c.stale for c in changes.changes} == {"old.txt": False, "src/main.py": True}
    assert "applying undoes that" in bench.review.render(changes)


def test_part_is_applied_and_the_rest_waits(bench: Bench) -> None:
    layer = bench.run("echo new > old.txt; echo m > Makefile")
    changes = bench.diff(layer)
    bench.review.apply(changes.only(lambda change: not change.runs), "person")
    assert (bench.folder / "old.txt").read_text() == "new\n"
    assert actions(bench.diff(layer)) == {"Makefile": Action.ADD}
    bench.run("echo newer > old.txt", layer=layer.id)
    again = bench.diff(bench.review.find(layer.id))
    assert [c.stale for c in again.changes] == [False, False]


def test_applying_is_recorded_with_names_and_hashes(bench: Bench) -> None:
    layer = bench.run("echo new > old.txt; rm src/main.py")
    changes = bench.diff(layer)
    bench.review.apply(changes, "person")
    (event,) = bench.events(Kind.LAYER_APPLIED)
    assert event.principal == "person"
    assert event.body["digest"] == changes.digest
    assert event.body["deleted"] == ["src/main.py"]
    assert list(event.body["files"]) == ["old.txt"]
    assert event.body["label"] == ["files", "code"]
    assert event.joins == {}


def test_what_cannot_be_recorded_is_not_applied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = bench.run("echo new > old.txt")
    changes = bench.diff(layer)

    def full(event: Event) -> None:
        raise LedgerError("no space left on device")

    monkeypatch.setattr(bench.ledger, "append", full)
    with pytest.raises(LedgerError, match=r"no space"):
        bench.review.apply(changes, "person")
    assert (bench.folder / "old.txt").read_text() == "old\n"
    assert sorted(os.listdir(bench.folder)) == ["old.txt", "src"]


def act_discard(bench: Bench, layer: Layer) -> None:
    bench.review.discard(layer, "person")


def act_apply(bench: Bench, layer: Layer) -> None:
    bench.review.apply(bench.diff(layer), "person")


@pytest.mark.parametrize("act", [act_discard, act_apply])
def test_layer_of_a_running_session_is_left_alone(
    act: Callable[[Bench, Layer], None], bench: Bench
) -> None:
    opened = bench.open()
    opened.view(exec=False)
    assert opened.layer is not None
    with pytest.raises(WorkspaceError, match=r"in use"):
        act(bench, opened.layer)


def test_nothing_is_applied_under_a_direct_writer(bench: Bench) -> None:
    layer = bench.run("echo new > old.txt")
    bench.open(Mode.DIRECT)
    with pytest.raises(WorkspaceError, match=r"open for writing"):
        bench.review.apply(bench.diff(layer), "person")


def test_discarded_layer_is_gone_and_the_folder_untouched(bench: Bench) -> None:
    layer = bench.run("echo new > old.txt")
    bench.review.discard(layer, "person")
    assert not layer.place.exists()
    assert (bench.folder / "old.txt").read_text() == "old\n"
    assert bench.events(Kind.LAYER_DISCARDED)[0].principal == "person"
    with pytest.raises(WorkspaceError, match=r"there is no layer"):
        bench.review.find(layer.id)


def test_layer_with_a_very_deep_tree_is_shown_and_discarded(bench: Bench) -> None:
    name = "d" * 200
    deep = f"for i in $(seq 60); do mkdir {name}; cd {name} 2>/dev/null; done"
    layer = bench.run(f"{deep}; head -c 1000000 /dev/urandom > x")
    changes = bench.diff(layer)
    assert layer.size() > 1_000_000
    assert any("name too long" in why.lower() for why in refused(changes).values())
    bench.review.discard(layer, "person")
    assert not layer.place.exists()


def test_folder_that_moved_is_found_by_what_it_is(bench: Bench, tmp_path: Path) -> None:
    layer = bench.run("echo new > old.txt")
    bench.folder = bench.folder.rename(tmp_path / "moved")
    bench.open().close()
    bench.apply(layer)
    assert (bench.folder / "old.txt").read_text() == "new\n"


def test_other_folder_in_the_same_place_gets_nothing(bench: Bench, tmp_path: Path) -> None:
    layer = bench.run("echo new > old.txt")
    bench.folder.rename(tmp_path / "moved")
    bench.folder.mkdir()
    os.setxattr(bench.folder, "user.trilemma.workspace", b"{}")
    with pytest.raises(WorkspaceError, match=r"is not the workspace"):
        bench.review.diff(layer)


def test_workspaces_are_listed_with_label_and_layers(bench: Bench) -> None:
    layer = bench.run("echo new > old.txt")
    (row,) = bench.review.workspaces()
    assert (row.path, row.open, row.layers) == (bench.folder, False, (layer,))
    assert bench.review.find(str(bench.folder)) == layer
    opened = bench.open(Mode.DIRECT)
    (row,) = bench.review.workspaces()
    assert row.open
    assert row.label == parse(["files", "code"])
    opened.close()


def test_size_of_a_layer_is_what_it_takes_on_disk(bench: Bench) -> None:
    layer = bench.run("head -c 1000000 /dev/urandom > r; truncate -s 1T sparse")
    assert 1_000_000 <= layer.size() < 1_100_000
