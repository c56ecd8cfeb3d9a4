"""Attacks, one function each: tried as a tool in every profile, and bare by the twins.

Shipped as source. Each function raises OSError where it was stopped and returns where it was not.
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
CANARY = "/tmp/canary"
SPEAK = f"open({CANARY!r}, 'w').write('ran')"


def call(number: int, *arguments: Any) -> int:
    result: int = LIBC.syscall(
        ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    )
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# Internet.


def unix_socket(argument: str) -> None:
    socket.socket(socket.AF_UNIX).close()


def ipv4_socket(argument: str) -> None:
    socket.socket(socket.AF_INET).close()


def ipv6_socket(argument: str) -> None:
    socket.socket(socket.AF_INET6).close()


def udp_socket(argument: str) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def raw_socket(argument: str) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()


def packet_socket(argument: str) -> None:
    socket.socket(17, socket.SOCK_RAW).close()


def netlink_socket(argument: str) -> None:
    socket.socket(16, socket.SOCK_RAW).close()


def vsock_socket(argument: str) -> None:
    socket.socket(40, socket.SOCK_STREAM).close()


def alg_socket(argument: str) -> None:
    socket.socket(38, socket.SOCK_SEQPACKET).close()


def resolve(argument: str) -> None:
    socket.getaddrinfo("example.com", 443)


def connect(argument: str) -> None:
    """Bring the canary to a server: ``host:port``."""
    host, _, port = argument.rpartition(":")
    with socket.create_connection((host, int(port)), 3) as out:
        out.sendall(b"canary")


def connect_planted(argument: str) -> None:
    """Bring the canary through a unix socket that lies in a mounted folder."""
    with socket.socket(socket.AF_UNIX) as out:
        out.connect(argument)
        out.sendall(b"canary")


def send_planted(argument: str) -> None:
    """The same with a datagram, through a pair that is pointed elsewhere."""
    out, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    out.connect(argument)
    out.send(b"canary")


# Files.


def read_file(argument: str) -> str:
    with open(argument) as file:
        return file.read()


def write_file(argument: str) -> None:
    with open(argument, "w") as file:
        file.write("canary")


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


# Code.


def exec_elf(argument: str) -> None:
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_script(argument: str) -> None:
    os.execve(argument, [argument], {})


def exec_loader(argument: str) -> None:
    loader = "/lib64/ld-linux-x86-64.so.2"
    os.execve(loader, [loader, sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_memfd(argument: str) -> None:
    memory = os.memfd_create("x", 0)
    with open(sys.executable, "rb") as file:
        os.sendfile(memory, file.fileno(), 0, os.path.getsize(sys.executable))
    os.execve(memory, [sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_copy(argument: str) -> None:
    """A copy of the interpreter in a writable place."""
    with open(sys.executable, "rb") as source, open(argument, "wb") as target:
        target.write(source.read())
    os.chmod(argument, 0o755)
    os.execve(argument, [sys.executable, "-I", "-S", "-c", SPEAK], {})


def map_code(argument: str) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def protect_code(argument: str) -> None:
    memory = mmap.mmap(-1, 4096)
    call(10, ctypes.addressof(ctypes.c_char.from_buffer(memory)), 4096, 5)


def overwrite_code(argument: str) -> None:
    """Native code in memory that is executable already, written through this process's own file."""
    LIBC.prctl(4, 1, 0, 0, 0)
    address = ctypes.cast(LIBC.getppid, ctypes.c_void_p).value or 0
    returns_42 = {
        "x86_64": b"\xb8\x2a\0\0\0\xc3",  # mov eax, 42; ret
        "aarch64": b"\x40\x05\x80\x52\xc0\x03\x5f\xd6",  # mov w0, #42; ret
    }
    memory = os.open("/proc/self/mem", os.O_RDWR)
    os.pwrite(memory, returns_42[os.uname().machine], address)
    if LIBC.getppid() != 42:
        raise OSError("it did not run")


def load_library(argument: str) -> None:
    """Native code without execve: a shared object in a writable place."""
    with open("/proc/self/maps") as maps:
        library = next(line.split()[-1] for line in maps if "libc.so" in line)
    with open(library, "rb") as source, open(argument, "wb") as target:
        target.write(source.read())
    ctypes.CDLL(argument)


# The walls.


def clear(argument: str) -> None:
    """No attack: forget an earlier canary."""
    if os.path.exists(CANARY):
        os.unlink(CANARY)


def trace(argument: str) -> None:
    call(101, 16, 1, 0, 0)


def read_memory(argument: str) -> None:
    os.close(os.open("/proc/1/mem", os.O_RDONLY))


def read_descriptors(argument: str) -> None:
    os.listdir("/proc/1/fd")


def become_root(argument: str) -> None:
    os.setuid(0)


def mount(argument: str) -> None:
    call(165, b"none", b"/tmp", b"tmpfs", 0, 0)


def user_namespace(argument: str) -> None:
    call(272, 0x10000000)


def join_namespace(argument: str) -> None:
    call(308, os.open("/proc/1/ns/net", os.O_RDONLY), 0)


def change_root(argument: str) -> None:
    os.chroot("/tmp")


def ring(argument: str) -> None:
    call(425, 4, (ctypes.c_char * 120)())


def keys(argument: str) -> None:
    call(250, 0, -3, 1)


def page_faults(argument: str) -> None:
    call(323, 1)  # UFFD_USER_MODE_ONLY: the way that needs no privilege


def program_kernel(argument: str) -> None:
    call(321, 0, (ctypes.c_char * 120)(), 120)


def file_handle(argument: str) -> None:
    call(303, -100, b"/tmp", (ctypes.c_char * 136)(), ctypes.byref(ctypes.c_int()), 0)


def write_root(argument: str) -> None:
    write_file("/canary")


def write_kernel_setting(argument: str) -> None:
    write_file("/proc/sys/kernel/core_pattern")


def see_hardware(argument: str) -> None:
    if not os.listdir("/sys"):
        raise OSError(0, "empty")


def kill_first(argument: str) -> None:
    """Process 1 takes no signal from inside; it is still there if a signal can be sent twice."""
    os.kill(1, signal.SIGKILL)
    os.kill(1, 0)
    raise OSError(0, "still there")


def more_files(argument: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))


def attempt(name: str, argument: str = "") -> dict[str, str]:
    """Try one attack and say how it ended."""
    try:
        detail = globals()[name](argument)
    except (OSError, ValueError) as error:
        return {"outcome": "refused", "detail": str(error)}
    return {"outcome": "done", "detail": str(detail or "")}


if __name__ == "__main__":
    print(attempt(*sys.argv[1:])["outcome"])
