"""Numbers of the system calls that the lock names, per machine."""

import os

MACHINE = os.uname().machine

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# From 424 on the numbers are the same on every machine.
_EVERYWHERE = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "clone3": 435,
    "openat2": 437,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
}

NEWEST = 469
"""The newest call these tables have heard of. What a later kernel adds is refused unseen."""

# fmt: off
_X86_64 = {
    "open": 2, "mmap": 9, "mprotect": 10, "ioctl": 16, "shmget": 29, "shmat": 30, "shmctl": 31,
    "socket": 41,
    "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "clone": 56,
    "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "fcntl": 72,
    "creat": 85, "chmod": 90, "fchmod": 91, "ptrace": 101,
    "rt_sigqueueinfo": 129, "uselib": 134, "personality": 135, "setpriority": 141,
    "sched_setparam": 142, "sched_setscheduler": 144, "modify_ldt": 154, "mount": 165,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197,
    "lremovexattr": 198, "fremovexattr": 199, "tkill": 200, "sched_setaffinity": 203,
    "tgkill": 234, "add_key": 248, "request_key": 249, "keyctl": 250,
    "ioprio_set": 251, "openat": 257, "fchmodat": 268,
    "unshare": 272, "accept4": 288, "rt_tgsigqueueinfo": 297, "perf_event_open": 298,
    "prlimit64": 302, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
    "kcmp": 312, "sched_setattr": 314, "seccomp": 317, "memfd_create": 319, "bpf": 321,
    "execveat": 322, "userfaultfd": 323, "pkey_mprotect": 329, "name_to_handle_at": 303,
}
_AARCH64 = {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15,
    "fremovexattr": 16, "fcntl": 25, "ioctl": 29, "ioprio_set": 30, "mount": 40,
    "fchmod": 52, "fchmodat": 53, "openat": 56,
    "personality": 92, "unshare": 97, "ptrace": 117, "sched_setparam": 118,
    "sched_setscheduler": 119, "sched_setaffinity": 122, "kill": 129, "tkill": 130,
    "tgkill": 131, "rt_sigqueueinfo": 138, "setpriority": 140, "shmget": 194,
    "shmctl": 195, "shmat": 196, "socket": 198, "socketpair": 199, "bind": 200,
    "listen": 201, "accept": 202, "connect": 203, "add_key": 217, "request_key": 218,
    "keyctl": 219, "clone": 220,
    "execve": 221, "mmap": 222, "mprotect": 226, "rt_tgsigqueueinfo": 240,
    "perf_event_open": 241, "accept4": 242, "prlimit64": 261, "setns": 268,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "sched_setattr": 274,
    "seccomp": 277, "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282,
    "pkey_mprotect": 288, "name_to_handle_at": 264,
}
# fmt: on

NUMBERS = {"x86_64": _X86_64 | _EVERYWHERE, "aarch64": _AARCH64 | _EVERYWHERE}

ABSENT = {
    "x86_64": frozenset[str](),
    "aarch64": frozenset({"fork", "vfork", "uselib", "modify_ldt", "open", "creat", "chmod"}),
}
"""Calls a machine does not have at all; a rule that names one has nothing to refuse there."""


def number(name: str, machine: str = MACHINE) -> int:
    """The number of a system call here."""
    return NUMBERS[machine][name]
