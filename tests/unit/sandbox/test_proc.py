import os
import socket

from trilemma.sandbox import proc


def test_this_process_has_no_filter_of_ours() -> None:
    own = proc.read_process(os.getpid())
    assert own.pid == os.getpid()
    assert own.uids == {os.getuid()}
    assert os.getgid() in own.gids


def test_mounts_of_this_process() -> None:
    at = {mount.target: mount for mount in proc.mounts(os.getpid())}
    assert at["/proc"].kind == "proc"
    assert "/" in at
    assert at["/"].flags & {"rw", "ro"}


def test_a_space_in_a_path_is_read_back() -> None:
    line = (
        "36 35 98:0 /mnt1 /mnt\\0402/a\\134b ro,noexec,nosuid master:1 shared:7 - ext3 /dev/root rw"
    )
    found = proc._mount_point(line)
    assert found == proc.MountPoint(
        target="/mnt 2/a\\b",
        kind="ext3",
        root="/mnt1",
        device="98:0",
        flags=frozenset({"ro", "noexec", "nosuid"}),
        group="7",
        follows="1",
    )
    assert found.has("ro", "nosuid")
    assert not found.has("nodev")


def test_interfaces_of_this_process() -> None:
    assert proc.interfaces(os.getpid()) == {name for _, name in socket.if_nameindex()}
