"""Ways to code that was not there before."""

import ctypes
import errno
import mmap
import os
import sys

from tests.integration.attacks.prelude import CANARY, LIBC, SPEAK, call


def exec_elf(argument: str) -> None:
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_script(argument: str) -> None:
    os.execve(argument, [argument], {})


def exec_descriptor(argument: str) -> None:
    program = os.open(sys.executable, os.O_RDONLY)
    os.execve(program, [sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_loader(argument: str) -> None:
    loader = "/lib64/ld-linux-x86-64.so.2"
    os.execve(loader, [loader, sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_memfd(argument: str) -> None:
    os.execve(_in_memory(sys.executable), [sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_copy(argument: str) -> None:
    """A copy of the interpreter in a writable place."""
    with open(sys.executable, "rb") as source, open(argument, "wb") as target:
        target.write(source.read())
    os.chmod(argument, 0o755)
    os.execve(argument, [sys.executable, "-I", "-S", "-c", SPEAK], {})


def exec_set_user_id(argument: str) -> None:
    """A shell that belongs to another user and runs as that one: the canary shows its owner."""
    os.execve(argument, [argument, "-p", "-c", f"printf ran > {CANARY}"], {})


def map_code(argument: str) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def protect_code(argument: str) -> None:
    memory = mmap.mmap(-1, 4096)
    call(10, ctypes.addressof(ctypes.c_char.from_buffer(memory)), 4096, 5)


def imply_code(argument: str) -> None:
    """Whatever is readable from now on is executable."""
    call(135, 0x0400000)


def shared_code(argument: str) -> None:
    segment = call(29, 0, 4096, 0o700)
    try:
        call(30, segment, 0, 0o100000)
    finally:
        call(31, segment, 0, 0)


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
    with open(_libc_file(), "rb") as source, open(argument, "wb") as target:
        target.write(source.read())
    _load(argument)


def load_memfd(argument: str) -> None:
    """The same where no place is writable."""
    _load(f"/proc/self/fd/{_in_memory(_libc_file())}")


def _load(path: str) -> None:
    try:
        ctypes.CDLL(path)
    except OSError as error:
        raise OSError(errno.EPERM, str(error)) from None


def _libc_file() -> str:
    with open("/proc/self/maps") as maps:
        return next(line.split()[-1] for line in maps if "libc.so" in line)


def _in_memory(path: str) -> int:
    memory = os.memfd_create("x", 0)
    with open(path, "rb") as file:
        os.sendfile(memory, file.fileno(), 0, os.path.getsize(path))
    return memory
