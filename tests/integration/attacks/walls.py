"""Ways through the container itself."""

import contextlib
import ctypes
import errno
import os
import resource
import signal
import struct

from tests.integration.attacks.prelude import USUAL_DEVICES, call, others


def become_root(argument: str) -> None:
    os.setuid(0)


def mount(argument: str) -> None:
    call(165, b"none", b"/tmp", b"tmpfs", 0, 0)


def mount_anew(argument: str) -> None:
    os.close(call(430, b"tmpfs", 0))


def user_namespace(argument: str) -> None:
    call(272, 0x10000000)


def born_in_namespace(argument: str) -> None:
    child = call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def join_namespace(argument: str) -> None:
    call(308, os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


def change_root(argument: str) -> None:
    os.chroot("/tmp")


def ring(argument: str) -> None:
    call(425, 4, (ctypes.c_char * 120)())


def keys(argument: str) -> None:
    call(250, 0, -3, 1)


def message_queue(argument: str) -> None:
    call(71, call(68, 0, 0o1600), 0, 0)


def page_faults(argument: str) -> None:
    call(323, 1)  # UFFD_USER_MODE_ONLY: the way that needs no privilege


def program_kernel(argument: str) -> None:
    attributes = struct.pack("=IIII", 2, 4, 4, 1) + bytes(104)  # An array of one number.
    call(321, 0, attributes, len(attributes))


def watch_processor(argument: str) -> None:
    attributes = struct.pack("=IIQ", 1, 112, 0) + bytes(96)  # A clock of the kernel's own.
    call(298, attributes, 0, -1, -1, 0)


def write_kernel_setting(argument: str) -> None:
    """What runs on the host when a process dumps core. It is not written."""
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


def write_group(argument: str) -> None:
    """Limits of a control group, of either version: opened, not written."""
    folder = "/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup"
    os.close(os.open(f"{folder}/cgroup.procs", os.O_WRONLY))


def see_hardware(argument: str) -> None:
    if not os.listdir("/sys"):
        raise OSError(errno.ENOENT, "empty")


def see_host(argument: str) -> None:
    """A process of the host: one that the container cannot have started."""
    for process in others():
        with contextlib.suppress(OSError), open(f"/proc/{process}/comm") as name:
            if name.read().strip() in ("dockerd", "containerd"):
                return
    raise OSError(errno.ESRCH, "nobody is there")


def open_device(argument: str) -> None:
    """A device that not every container has."""
    for name in os.listdir("/dev"):
        if name not in USUAL_DEVICES.split():
            os.close(os.open(f"/dev/{name}", os.O_RDONLY))
            return
    raise OSError(errno.ENOENT, "none but the usual")


def more_files(argument: str) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    except ValueError as error:
        raise OSError(errno.EPERM, str(error)) from None
