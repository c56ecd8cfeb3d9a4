"""What the Engine's filter must refuse, asked of the filter itself as the kernel holds it.

``seccomp.py`` says what is allowed, and the Engine says that it took it. Here the program that came
of it is run for every call by which a sandbox could become more than it is: a runtime that ignores
profiles, or reads ours otherwise than we do, is found out.
"""

import functools
from collections.abc import Iterator

from .bpfrun import ERRNO, KILL_PROCESS, KILL_THREAD, verdict
from .spec import Exec
from .toolhost.syscalls import AUDIT_ARCH, MACHINE, NUMBERS

# fmt: off
_MORE_NUMBERS = {
    "x86_64": {
        "msgget": 68, "semget": 64, "syslog": 103, "setuid": 105, "setgid": 106, "setgroups": 116,
        "capset": 126, "mknod": 133, "pivot_root": 155, "prctl": 157, "chroot": 161, "acct": 163,
        "umount2": 166, "swapon": 167, "reboot": 169, "iopl": 172, "ioperm": 173,
        "init_module": 175, "mq_open": 240, "kexec_load": 246, "mknodat": 259,
        "fanotify_init": 300, "open_by_handle_at": 304, "finit_module": 313,
    },
    "aarch64": {
        "mknodat": 33, "umount2": 39, "pivot_root": 41, "chroot": 51, "acct": 89, "capset": 91,
        "kexec_load": 104, "init_module": 105, "syslog": 116, "reboot": 142, "setgid": 144,
        "setuid": 146, "setgroups": 159, "prctl": 167, "mq_open": 180, "msgget": 186,
        "semget": 190, "swapon": 224, "fanotify_init": 262, "open_by_handle_at": 265,
        "finit_module": 273,
    },
}
_SAME_EVERYWHERE = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "quotactl_fd": 443,
}
# fmt: on

ALWAYS = """
    mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
    mount_setattr unshare setns clone3
    ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp
    io_uring_setup io_uring_enter io_uring_register userfaultfd bpf perf_event_open
    add_key request_key keyctl mknod mknodat name_to_handle_at open_by_handle_at fanotify_init
    setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
    setuid setgid setgroups capset personality iopl ioperm modify_ldt uselib
    msgget semget mq_open memfd_secret pkey_mprotect
    init_module finit_module kexec_load reboot swapon acct syslog quotactl_fd
"""
"""Refused whatever the arguments are."""

WITHOUT_CODE = "memfd_create execveat bind listen accept accept4 shmget shmat"

_RAW = 3
_FAMILIES = {"VSOCK": 40, "packet": 17, "netlink": 16, "ALG": 38, "XDP": 44, "Bluetooth": 31}
_NAMESPACES = {"mount": 17, "cgroup": 25, "uts": 26, "ipc": 27, "user": 28, "pid": 29, "net": 30}
_PRCTL = {
    "keep capabilities": 8,
    "set securebits": 28,
    "describe memory": 35,
    "be traced": 0x59616D61,
}
_TERMINAL = {"type for others": 0x5412, "type for the console": 0x541C}
_OTHER_ARCHITECTURE = 0x40000003
_SIGCHLD = 17


@functools.lru_cache(maxsize=16)
def holes(program: bytes, exec_mode: Exec) -> tuple[str, ...]:
    """What this filter lets through and must not. The same for every container of one kind."""
    return tuple(_holes(program, exec_mode))


def _holes(program: bytes, exec_mode: Exec) -> Iterator[str]:
    numbers = {**NUMBERS[MACHINE], **_MORE_NUMBERS[MACHINE], **_SAME_EVERYWHERE}
    names = ALWAYS if exec_mode is Exec.FREE else f"{ALWAYS} {WITHOUT_CODE}"
    bare = ((name, name, ()) for name in names.split() if name in numbers)
    for what, name, arguments in (*bare, *_with_arguments(exec_mode)):
        if not _refused(verdict(program, numbers[name], AUDIT_ARCH[MACHINE], *arguments)):
            yield what
    for nr in range(0, 470, 10):
        if not _refused(verdict(program, nr, _OTHER_ARCHITECTURE)):
            yield "the calls of another architecture"
            return


def _with_arguments(exec_mode: Exec) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    for what, family in _FAMILIES.items():
        for kind in range(1, 6):
            yield f"a {what} socket", "socket", (family, kind)
    for what, family in (("IPv4", 2), ("IPv6", 10)):
        yield f"a raw {what} socket", "socket", (family, _RAW)
        if exec_mode is not Exec.FREE:
            yield f"an {what} socket", "socket", (family, 1)
            yield f"an {what} datagram socket", "socket", (family, 2)
    for what, bit in _NAMESPACES.items():
        yield f"a new {what} namespace", "clone", (1 << bit | _SIGCHLD,)
    for what, option in _PRCTL.items():
        yield f"prctl to {what}", "prctl", (option,)
    for what, request in _TERMINAL.items():
        yield f"ioctl to {what}", "ioctl", (0, request)


def _refused(answer: int) -> bool:
    return answer in (KILL_PROCESS, KILL_THREAD) or answer & 0xFFFF0000 == ERRNO
