"""Views, from the side of the user that a sandbox runs as. Each refusal has its sabotage twin."""

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trilemma.errors import WorkspaceError
from trilemma.sandbox import mounts
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.idmap import SANDBOX_ID
from trilemma.sandbox.views import View, ViewMaker

pytestmark = pytest.mark.root

STRANGER = 4321
SCRIPT = "#!/bin/sh\necho ran\n"


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[ViewMaker]:
    maker = ViewMaker(tmp_path / "run")
    yield maker
    maker.close()
    assert mounts.mounted_below(tmp_path / "run") == []


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    layer = tmp_path / "layer"
    layer.mkdir()
    return layer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder of root."""
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a.txt").write_text("old\n")
    (folder / "sub/a.txt").chmod(0o600)
    folder.chmod(0o700)
    return folder


def give(folder: Path, owner: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def inside(view: View, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script in the view as the sandbox's user."""
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=view.mount.source,
        user=view.mount.uid,
        group=view.mount.gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("owner", [0, STRANGER])
def test_layer_takes_the_changes_and_the_folder_stays(
    owner: int, maker: ViewMaker, folder: Path, layer: Path
) -> None:
    give(folder, owner)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    assert view.mount.uid == (owner or SANDBOX_ID)
    done = inside(view, "cat sub/a.txt && echo new > sub/a.txt && mkdir d && echo b > d/b")
    assert (done.stdout, done.stderr) == ("old\n", "")
    assert inside(view, "cat sub/a.txt d/b").stdout == "new\nb\n"
    assert (folder / "sub/a.txt").read_text() == "old\n"
    assert sorted(p.name for p in folder.iterdir()) == ["sub"]
    assert (layer / "upper/d/b").read_text() == "b\n"
    view.close()
    assert os.stat(folder / "sub/a.txt").st_uid == owner


@pytest.mark.parametrize("owner", [0, STRANGER])
def test_direct_view_writes_as_the_owner(owner: int, maker: ViewMaker, folder: Path) -> None:
    give(folder, owner)
    view = maker.direct_view(Folder.at(folder), read_only=False, exec=False)
    assert inside(view, "echo new > sub/a.txt && echo b > b").returncode == 0
    assert (folder / "sub/a.txt").read_text() == "new\n"
    assert (os.stat(folder / "b").st_uid, os.stat(folder / "b").st_gid) == (owner, owner)


def test_read_only_view_cannot_be_written(maker: ViewMaker, folder: Path) -> None:
    view = maker.direct_view(Folder.at(folder), read_only=True, exec=False)
    assert view.mount.read_only
    assert inside(view, "cat sub/a.txt").stdout == "old\n"
    assert inside(view, "echo x > sub/a.txt").returncode != 0
    assert inside(view, "rm sub/a.txt").returncode != 0
    assert (folder / "sub/a.txt").read_text() == "old\n"


def test_sabotage_without_the_mapping_a_private_folder_of_root_is_closed(folder: Path) -> None:
    done = subprocess.run(
        ["/bin/cat", "sub/a.txt"],
        cwd=folder,
        user=SANDBOX_ID,
        extra_groups=[],
        check=False,
        capture_output=True,
    )
    assert done.returncode != 0


def test_file_of_another_user_stays_closed(maker: ViewMaker, folder: Path, layer: Path) -> None:
    (folder / "theirs").write_text("secret")
    (folder / "theirs").chmod(0o600)
    os.chown(folder / "theirs", STRANGER, STRANGER)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    assert inside(view, "cat theirs").stdout == ""


def test_view_runs_nothing(maker: ViewMaker, folder: Path, layer: Path) -> None:
    (folder / "run.sh").write_text(SCRIPT)
    (folder / "run.sh").chmod(0o755)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    assert inside(view, "./run.sh").stdout == ""
    assert inside(view, "cp /bin/true t && chmod 755 t && ./t").returncode != 0


def test_sabotage_executable_view_of_the_same_layer_runs(
    maker: ViewMaker, folder: Path, layer: Path
) -> None:
    (folder / "run.sh").write_text(SCRIPT)
    (folder / "run.sh").chmod(0o755)
    closed = maker.layer_view(Folder.at(folder), layer, exec=False)
    view = maker.layer_view(Folder.at(folder), layer, exec=True)
    assert inside(view, "./run.sh").stdout == "ran\n"
    assert inside(closed, "./run.sh").stdout == ""


def test_views_of_one_layer_see_each_others_changes(
    maker: ViewMaker, folder: Path, layer: Path
) -> None:
    one = maker.layer_view(Folder.at(folder), layer, exec=False)
    two = maker.layer_view(Folder.at(folder), layer, exec=True)
    inside(one, "echo shared > x")
    assert inside(two, "cat x").stdout == "shared\n"
    one.close()
    one.close()
    assert inside(two, "cat x").stdout == "shared\n"


@pytest.mark.parametrize("exec", [False, True])
def test_flags_are_on_every_view(exec: bool, maker: ViewMaker, folder: Path, layer: Path) -> None:
    views = [
        maker.layer_view(Folder.at(folder), layer, exec=exec),
        maker.direct_view(Folder.at(folder), read_only=False, exec=exec),
        maker.direct_view(Folder.at(folder), read_only=True, exec=exec),
    ]
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    for view in views:
        (line,) = [row for row in table if row.split()[4] == str(view.mount.source)]
        flags = set(line.split()[5].split(","))
        assert {"nosuid", "nodev"} <= flags
        assert ("noexec" in flags) is not exec
        assert ("ro" in flags) is view.mount.read_only


def test_view_names_no_host_path(maker: ViewMaker, folder: Path, layer: Path) -> None:
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    (line,) = [row for row in table if row.split()[4] == str(view.mount.source)]
    assert str(folder) not in line.partition(" - ")[2]


def plant(folder: Path) -> socket.socket:
    """A listening socket, a fifo and a device in the folder."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "sub/agent.sock"))
    (folder / "sub/agent.sock").chmod(0o777)
    listener.listen()
    os.mkfifo(folder / "fifo", 0o666)
    os.mknod(folder / "sub/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return listener


def connects(view: View) -> bool:
    """Whether the sandbox's user reaches the socket through the view."""
    child = os.fork()
    if child == 0:
        os.chdir(view.mount.source)
        os.setgroups([])
        os.setgid(view.mount.gid)
        os.setuid(view.mount.uid)
        os._exit(socket.socket(socket.AF_UNIX).connect_ex("sub/agent.sock"))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("read_only", [False, True])
def test_no_socket_fifo_or_device_is_visible(
    read_only: bool, maker: ViewMaker, folder: Path, layer: Path
) -> None:
    with plant(folder):
        if read_only:
            view = maker.direct_view(Folder.at(folder), read_only=True, exec=False)
        else:
            view = maker.layer_view(Folder.at(folder), layer, exec=False)
        assert view.hidden == ("fifo", "sub/agent.sock", "sub/null")
        assert inside(view, "ls . sub").stdout.split() == [".:", "sub", "sub:", "a.txt"]
        assert not connects(view)
        assert inside(view, "cat sub/a.txt").stdout == "old\n"


def test_sabotage_without_the_refusal_socket_and_fifo_lead_out_even_read_only(
    maker: ViewMaker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.sandbox.views.special_files", lambda root: [])
    with plant(folder):
        view = maker.direct_view(Folder.at(folder), read_only=False, exec=False)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(view.mount.source)], check=True)
        assert connects(view)
        reader = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        (folder / "fifo").chmod(0o666)
        inside(view, "timeout 10 sh -c 'echo out > fifo'")
        assert os.read(reader, 100) == b"out\n"
        os.close(reader)


def test_direct_view_of_a_folder_with_a_socket_is_refused(maker: ViewMaker, folder: Path) -> None:
    with plant(folder), pytest.raises(WorkspaceError, match=r"mode: layer"):
        maker.direct_view(Folder.at(folder), read_only=False, exec=False)


def test_what_is_mounted_in_the_folder_is_not_in_the_view(
    maker: ViewMaker, folder: Path, layer: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret").write_text("secret")
    (folder / "mnt").mkdir()
    subprocess.run(["mount", "--bind", str(other), str(folder / "mnt")], check=True)
    try:
        direct = maker.direct_view(Folder.at(folder), read_only=False, exec=False)
        view = maker.layer_view(Folder.at(folder), layer, exec=False)
        for shown in (view, direct):
            assert inside(shown, "cat mnt/secret").stdout == ""
    finally:
        subprocess.run(["umount", str(folder / "mnt")], check=True)


def test_folder_that_was_swapped_is_refused(
    maker: ViewMaker, folder: Path, layer: Path, tmp_path: Path
) -> None:
    asked = Folder.at(folder)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    with pytest.raises(WorkspaceError, match=r"was replaced"):
        maker.layer_view(asked, layer, exec=False)
    folder.rmdir()
    folder.symlink_to("/etc")
    with pytest.raises(WorkspaceError, match=r"cannot be opened"):
        maker.direct_view(asked, read_only=True, exec=False)


def test_layer_is_mounted_by_one_process_at_a_time(
    maker: ViewMaker, folder: Path, layer: Path, tmp_path: Path
) -> None:
    other = ViewMaker(tmp_path / "run2")
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    with pytest.raises(WorkspaceError, match=r"in use"):
        other.layer_view(Folder.at(folder), layer, exec=False)
    view.close()
    other.layer_view(Folder.at(folder), layer, exec=False).close()
    other.close()


def test_layer_goes_on_where_it_ended(maker: ViewMaker, folder: Path, layer: Path) -> None:
    first = maker.layer_view(Folder.at(folder), layer, exec=False)
    inside(first, "echo kept > kept; rm sub/a.txt")
    first.close()
    second = maker.layer_view(Folder.at(folder), layer, exec=False)
    assert inside(second, "cat kept; ls sub").stdout == "kept\n"


def test_large_folder_is_not_copied(maker: ViewMaker, folder: Path, layer: Path) -> None:
    with open(folder / "large", "wb") as large:
        large.truncate(1 << 40)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    assert not view.copied
    assert inside(view, "stat -c %s large").stdout == f"{1 << 40}\n"


@pytest.fixture
def unmappable(tmp_path: Path) -> Iterator[Path]:
    """A folder of root on a file system that cannot map owners: an overlay."""
    for name in ("low", "up", "work", "over"):
        (tmp_path / name).mkdir()
    mounts.mount_overlay(
        tmp_path / "over",
        f"lowerdir={tmp_path}/low,upperdir={tmp_path}/up,workdir={tmp_path}/work",
    )
    folder = tmp_path / "over/folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a.txt").write_text("old\n")
    (folder / "link").symlink_to("sub/a.txt")
    folder.chmod(0o700)
    yield folder
    mounts.unmount(tmp_path / "over")


def test_folder_whose_owner_cannot_be_mapped_is_copied(
    maker: ViewMaker, unmappable: Path, layer: Path
) -> None:
    view = maker.layer_view(Folder.at(unmappable), layer, exec=False)
    assert view.copied
    assert inside(view, "cat link && echo new > sub/a.txt && cat link").stdout == "old\nnew\n"
    assert (unmappable / "sub/a.txt").read_text() == "old\n"
    view.close()
    assert not (layer / "copy").exists()


def test_folder_that_is_too_large_to_copy_is_refused(
    maker: ViewMaker, unmappable: Path, layer: Path
) -> None:
    with open(unmappable / "large", "wb") as large:
        large.truncate(1 << 40)
    with pytest.raises(WorkspaceError, match=r"too large to copy"):
        maker.layer_view(Folder.at(unmappable), layer, exec=False)
    assert not (layer / "copy").exists()


def test_unmappable_folder_of_root_is_not_mounted_directly(
    maker: ViewMaker, unmappable: Path
) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot be mounted directly"):
        maker.direct_view(Folder.at(unmappable), read_only=False, exec=False)


@pytest.mark.parametrize("how", ["layer", "direct", "read only"])
def test_closed_view_leaves_nothing(
    how: str, maker: ViewMaker, folder: Path, layer: Path, tmp_path: Path
) -> None:
    makers: dict[str, Callable[[], View]] = {
        "layer": lambda: maker.layer_view(Folder.at(folder), layer, exec=False),
        "direct": lambda: maker.direct_view(Folder.at(folder), read_only=False, exec=False),
        "read only": lambda: maker.direct_view(Folder.at(folder), read_only=True, exec=False),
    }
    view = makers[how]()
    with open(view.mount.source / "sub/a.txt"):
        view.close()
        view.close()
    assert list((tmp_path / "run/views").iterdir()) == []
    assert (folder / "sub/a.txt").read_text() == "old\n"
