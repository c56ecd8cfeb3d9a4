"""Copies of folders: blocks are shared where the disk can, and nothing in them is followed."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trilemma.errors import WorkspaceError
from trilemma.sandbox import snapshot
from trilemma.sandbox.carried.tree import Tree, read_tree
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.snapshot import copy_folder
from trilemma.sandbox.treeremoval import remove_tree

pytestmark = pytest.mark.root

MIB = 1024 * 1024
STRANGER = 4321


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path / "work")


def filled(folder: Path) -> Path:
    (folder / "sub/empty").mkdir(parents=True)
    (folder / "large").write_bytes(os.urandom(4 * MIB))
    (folder / "sub/run.sh").write_text("#!/bin/sh\n")
    (folder / "sub/run.sh").chmod(0o4750)
    (folder / "none").touch()
    (folder / "link").symlink_to("/etc/passwd")
    return folder


@pytest.fixture
def xfs(tmp_path: Path) -> Iterator[Path]:
    """A disk whose files can share blocks."""
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("needs mkfs.xfs (xfsprogs)")
    image, point = tmp_path / "disk", tmp_path / "xfs"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(320 * MIB)
    subprocess.run(["mkfs.xfs", "-q", str(image)], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this kernel mounts no xfs")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def used(place: Path) -> int:
    os.sync()
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def test_where_blocks_can_be_shared_nothing_is_copied(xfs: Path) -> None:
    folder = filled(xfs / "work")
    before = used(xfs)
    copied = copy_folder(Folder.at(folder), None, xfs / "copy", limit=0)
    assert (copied.copied, copied.files) == (0, 3)
    assert copied.shared > 4 * MIB
    assert used(xfs) - before < MIB
    content = (folder / "large").read_bytes()
    (folder / "large").write_bytes(b"changed")
    assert (xfs / "copy/large").read_bytes() == content


def test_elsewhere_it_is_a_copy_with_owners_modes_and_times(folder: Path, tmp_path: Path) -> None:
    os.chown(folder / "large", STRANGER, STRANGER)
    os.utime(folder / "sub", ns=(1, 2))
    copied = copy_folder(Folder.at(folder), None, tmp_path / "copy", limit=5 * MIB)
    assert copied.copied + copied.shared == 4 * MIB + 10
    copy = tmp_path / "copy"
    assert (copy / "large").read_bytes() == (folder / "large").read_bytes()
    assert (copy / "large").stat().st_uid == STRANGER
    assert (copy / "sub").stat().st_mtime_ns == 2
    assert os.readlink(copy / "link") == "/etc/passwd"
    # A set-user-id bit would be a right that nobody gave.
    assert (copy / "sub/run.sh").stat().st_mode & 0o7777 == 0o750
    assert (copy / "sub/empty").is_dir()


def test_sockets_fifos_and_devices_are_left_out(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "sock"))
        copied = copy_folder(Folder.at(folder), None, tmp_path / "copy", limit=5 * MIB)
    assert sorted(copied.hidden) == ["fifo", "sock"]
    assert sorted(os.listdir(tmp_path / "copy")) == ["large", "link", "none", "sub"]


def test_what_is_mounted_below_is_no_part_of_it(folder: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder / "sub")], check=True)
    try:
        (folder / "sub/secret").write_text("canary")
        copy_folder(Folder.at(folder), None, tmp_path / "copy", limit=5 * MIB)
    finally:
        subprocess.run(["umount", str(folder / "sub")], check=True)
    assert os.listdir(tmp_path / "copy/sub") == []


def test_a_file_that_became_a_link_is_not_followed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("canary")

    def swapped(root: int) -> Tree:
        tree = read_tree(root)
        (folder / "large").unlink()
        (folder / "large").symlink_to(tmp_path / "secret")
        return tree

    monkeypatch.setattr(snapshot, "read_tree", swapped)
    copy_folder(Folder.at(folder), None, tmp_path / "copy", limit=5 * MIB)
    assert not os.path.lexists(tmp_path / "copy/large")


def test_too_many_bytes_or_entries_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_CLONE", 0)
    with pytest.raises(WorkspaceError, match="more than 3 MiB would be copied"):
        copy_folder(Folder.at(folder), None, tmp_path / "copy", limit=3 * MIB)
    remove_tree(tmp_path / "copy")
    monkeypatch.setattr(snapshot, "MAX_ENTRIES", 3)
    with pytest.raises(WorkspaceError, match="3 may be copied"):
        copy_folder(Folder.at(folder), None, tmp_path / "copy", limit=5 * MIB)
