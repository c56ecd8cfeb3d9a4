"""Ways to files of the host, and to files that do something there."""

import contextlib
import ctypes
import errno
import os
import socket
import struct

from tests.integration.attacks.prelude import call


def read_file(argument: str) -> str:
    with open(argument) as file:
        return file.read()


def write_file(argument: str) -> None:
    with open(argument, "w") as file:
        file.write("canary")


def race_link(argument: str) -> None:
    """Read ``name target`` through a name that is now a file of ours and now a link outwards."""
    name, target = argument.split()
    for _ in range(200):
        os.symlink(target, f"{name}.link")
        write_file(f"{name}.file")
        for kind in ("link", "file"):
            os.rename(f"{name}.{kind}", name)
            with contextlib.suppress(FileNotFoundError):
                if read_file(name) not in ("", "canary"):
                    return
    raise OSError(errno.ENOENT, "it leads nowhere")


def open_fifo(argument: str) -> None:
    os.close(os.open(argument, os.O_RDWR | os.O_NONBLOCK))


def make_device(argument: str) -> None:
    os.mknod(argument, 0o020666, os.makedev(1, 3))


def make_fifo(argument: str) -> None:
    os.mkfifo(argument)


def make_socket_file(argument: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(argument)


def set_user_id(argument: str) -> None:
    """A program that runs with its owner's rights on the host."""
    os.close(os.open(argument, os.O_CREAT | os.O_WRONLY, 0o755))
    os.chmod(argument, 0o4755)


def set_user_id_at_birth(argument: str) -> None:
    os.close(os.open(argument, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o4755))


def set_user_id_unseen(argument: str) -> None:
    """With the mode in memory, where no filter reads it."""
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o4755, 0)
    call(437, -100, argument.encode(), how, 24)


def mark(argument: str) -> None:
    os.setxattr(argument, "user.trilemma.workspace", b"mine")


def file_handle(argument: str) -> None:
    handle = (ctypes.c_char * 136).from_buffer(bytearray(struct.pack("=I", 128) + bytes(132)))
    call(303, -100, argument.encode(), handle, ctypes.byref(ctypes.c_int()), 0)


def write_root(argument: str) -> None:
    write_file("/canary")
