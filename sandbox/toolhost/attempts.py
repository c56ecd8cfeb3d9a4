"""What the self-test tries, as a list: what, whether this profile must refuse it, and how."""

import os
import socket
import stat
from collections.abc import Callable
from typing import NamedTuple

from . import acts
from .kernel import syscall
from .settings import SCRATCH, Settings

_AF_VSOCK, _AF_PACKET, _AF_NETLINK, _AF_ALG, _AF_XDP = 40, 17, 16, 38, 44
_NULL_DEVICE = os.makedev(1, 3)
_NEW_USER_NAMESPACE = 0x10000000


class Attempt(NamedTuple):
    """One thing to try in a process like a call's child."""

    name: str
    refused: bool
    """What this profile demands."""
    act: Callable[[], object]
    """Returns where it succeeded, raises OSError where it was refused; or becomes a program."""


def of_profile(settings: Settings) -> list[Attempt]:
    """Everything to try in a sandbox with these settings."""
    return [
        *_code(settings.exec == "free"),
        *_internet(settings.exec == "free", settings.egress == "tunnel"),
        *of_workspace(settings),
        *_FILES,
        *_tool_host(settings.exec == "free"),
        *_KERNEL,
    ]


def of_workspace(settings: Settings) -> list[Attempt]:
    """What depends on whether a workspace is there."""
    return [
        Attempt("open the workspace", not settings.mounted, acts.open_workspace),
        Attempt("write the workspace", settings.workspace != "rw", acts.write_workspace),
    ]


def _code(free: bool) -> list[Attempt]:
    return [
        Attempt("execute a program", not free, acts.execute),
        Attempt("execute a program by descriptor", not free, acts.execute_descriptor),
        Attempt("make a file in memory", not free, lambda: os.memfd_create("x")),
        Attempt("make a secret file in memory", True, lambda: syscall("memfd_secret", 0)),
        Attempt("map anonymous memory executable", not free, acts.map_executable),
        Attempt("map a scratch file executable", not free, acts.map_scratch_file),
        Attempt("make memory executable afterwards", not free, acts.protect_executable),
        Attempt("make memory executable with a key", True, acts.protect_with_key),
        Attempt("make readable memory executable", True, acts.imply_executable),
        Attempt("write over executable memory", True, acts.overwrite_code),
        Attempt("attach executable shared memory", not free, acts.shared_executable),
        Attempt("start another process", not free, acts.fork),
    ]


def _internet(free: bool, tunnel: bool) -> list[Attempt]:
    raw, stream = socket.SOCK_RAW, socket.SOCK_STREAM
    return [
        Attempt("make a unix socket", not tunnel, lambda: acts.make_socket(socket.AF_UNIX)),
        Attempt("make a datagram pair", True, acts.datagram_pair),
        Attempt("aim a socket at a name", not free, acts.connect_pair),
        Attempt("make an IPv4 socket", not free, lambda: acts.make_socket(socket.AF_INET)),
        Attempt("make an IPv6 socket", not free, lambda: acts.make_socket(socket.AF_INET6)),
        Attempt("make a raw socket", True, lambda: acts.make_socket(socket.AF_INET, raw)),
        Attempt("make a packet socket", True, lambda: acts.make_socket(_AF_PACKET, raw)),
        Attempt("make a netlink socket", True, lambda: acts.make_socket(_AF_NETLINK, raw)),
        Attempt("make a VSOCK socket", True, lambda: acts.make_socket(_AF_VSOCK, stream)),
        Attempt("make an ALG socket", True, lambda: acts.make_socket(_AF_ALG, 5)),
        Attempt("make an XDP socket", True, lambda: acts.make_socket(_AF_XDP, raw)),
        Attempt("find an interface besides lo", True, acts.other_interface),
    ]


_FILES = (
    Attempt("write outside scratch", True, lambda: acts.write("/trilemma-selftest")),
    Attempt("write scratch", False, lambda: acts.write(f"{SCRATCH}/.trilemma-selftest")),
    Attempt("give a file its owner's rights", True, acts.set_user_id),
    Attempt("mark a file", True, acts.mark),
    Attempt("make a fifo", True, lambda: acts.make_node(stat.S_IFIFO)),
    Attempt("make a device", True, lambda: acts.make_node(stat.S_IFCHR, _NULL_DEVICE)),
    Attempt("name a file by its handle", True, lambda: syscall("name_to_handle_at", -1, b"", 0)),
    Attempt("find a device of the host", True, acts.other_device),
)


def _tool_host(free: bool) -> list[Attempt]:
    return [
        Attempt("read the tool host's memory", True, lambda: acts.open_of_host("mem")),
        Attempt("read the tool host's memory by a call", True, acts.read_host_memory),
        Attempt("read the tool host's descriptors", True, lambda: acts.open_of_host("fd")),
        Attempt("read the tool host's environment", True, lambda: acts.open_of_host("environ")),
        Attempt("enter the tool host's root", True, lambda: acts.open_of_host("root/")),
        Attempt("take the tool host's descriptor", True, lambda: syscall("pidfd_getfd", -1, 0, 0)),
        Attempt("trace the tool host", True, acts.trace),
        Attempt("signal another process", not free, lambda: os.kill(1, 0)),
    ]


_KERNEL = (
    Attempt("become root", True, lambda: os.setuid(0)),
    Attempt("raise a limit", True, acts.raise_limit),
    Attempt("mount", True, lambda: syscall("mount", b"x", b"/tmp", b"tmpfs", 0, 0)),
    Attempt("change the root", True, lambda: os.chroot("/")),
    Attempt("enter a user namespace", True, lambda: syscall("unshare", _NEW_USER_NAMESPACE)),
    Attempt("join a namespace", True, lambda: syscall("setns", -1, 0)),
    Attempt("set up a ring", True, lambda: syscall("io_uring_setup", 1, bytes(120))),
    Attempt("handle page faults", True, lambda: syscall("userfaultfd", 1)),
    Attempt("use keys", True, lambda: syscall("keyctl", 0, -3, 1)),
    Attempt("program the kernel", True, lambda: syscall("bpf", -1, 0, 0)),
    Attempt("watch the processor", True, lambda: syscall("perf_event_open", 0, 0, -1, -1, 0)),
    Attempt("change a kernel setting", True, acts.change_kernel),
    Attempt("see the hardware", True, acts.see_hardware),
)
