"""The lock: what the processes of a sandbox may never do again, per exec mode.

A second line behind the Engine's seccomp profile for most calls, and the only line for what the
profile cannot say: the Engine's own execve of this program comes after the profile is in place.
"""

import errno
import functools

from .bpf import NOTIFY, Rule, Test, assemble

_PROT_EXEC, _PROT_WRITE_EXEC, _MAP_ANONYMOUS = 4, 6, 0x20
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020000
_AF_UNIX, _AF_INET, _AF_INET6, _SOCK_STREAM = 1, 2, 10, 1
_ALL = 0xFFFFFFFF

_PAIR = Test(1, 0xF, _SOCK_STREAM, equal=False)
"""A datagram pair can be pointed at any socket file afterwards; a stream pair cannot."""

_SET_ID = 0o6000
_CREATES = 0o20000100
"""O_CREAT, and what sets O_TMPFILE apart from O_DIRECTORY: elsewhere the mode is not read."""

NO_SET_ID = (
    *(
        Rule(call, tests=(Test(place, _SET_ID, 0, equal=False),))
        for call, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2))
    ),
    Rule("creat", tests=(Test(1, _SET_ID, 0, equal=False),)),
    *(
        Rule(
            call,
            tests=(Test(flags, _CREATES, 0, equal=False), Test(flags + 1, _SET_ID, 0, equal=False)),
        )
        for call, flags in (("open", 1), ("openat", 2))
    ),
)
"""On the host a file of a mounted folder runs with its owner's rights, and that may be root."""

NO_HIDDEN_MODES = (Rule("openat2", errno.ENOSYS),)
"""It takes its mode from memory, where no filter reads. Our own file tools use it, with a fixed
mode; what others wrote goes back to openat."""

NOT_PROCESS_1 = (
    *(
        Rule(call, tests=(Test(0, _ALL, 1),))
        for call in ("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")
    ),
    Rule("prlimit64", tests=(Test(0, _ALL, 1),)),
    *(Rule(call, tests=(Test(1, _ALL, 1),)) for call in ("setpriority", "ioprio_set")),
)
"""It ends calls, and everything ends with it: behind a crowd that pushed it aside it would not."""

ALWAYS = (
    *NO_SET_ID,
    *NOT_PROCESS_1,
    *map(Rule, ("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise")),
    *map(Rule, ("pidfd_getfd", "kcmp", "userfaultfd", "perf_event_open", "bpf")),
    *map(Rule, ("add_key", "request_key", "keyctl", "unshare", "setns", "modify_ldt", "uselib")),
    # A ring does file and socket calls that no filter sees.
    *map(Rule, ("io_uring_setup", "io_uring_enter", "io_uring_register")),
    # READ_IMPLIES_EXEC makes every readable mapping executable. Asking (all ones) is harmless.
    Rule("personality", tests=(Test(0, _ALL, _ALL, equal=False),)),
    # clone3 hides its flags in memory; glibc goes back to clone where it is absent.
    Rule("clone3", errno.ENOSYS),
    Rule("clone", tests=(Test(0, _CLONE_NAMESPACES, 0, equal=False),)),
    # A workspace's identity mark is an extended attribute.
    *(
        Rule(call, errno.EOPNOTSUPP)
        for call in ("setxattr", "lsetxattr", "fsetxattr", "setxattrat")
    ),
    *(Rule(call, errno.EOPNOTSUPP) for call in ("removexattr", "lremovexattr", "fremovexattr")),
    Rule("removexattrat", errno.EOPNOTSUPP),
    Rule("socketpair", tests=(_PAIR,)),
)

NO_SOCKETS = tuple(map(Rule, ("socket", "connect", "bind", "listen", "accept", "accept4")))
"""Even without a network: a socket file in a mounted folder leads out of a read-only mount."""

NO_NEW_CODE = (
    *map(Rule, ("memfd_create", "memfd_secret", "shmget", "shmat")),
    *(
        Rule(name, tests=(Test(2, _PROT_EXEC, _PROT_EXEC),))
        for name in ("mprotect", "pkey_mprotect")
    ),
)
NO_MAPPED_CODE = (Rule("mmap", tests=(Test(2, _PROT_EXEC, _PROT_EXEC),)),)
NO_ANONYMOUS_CODE = (
    Rule("mmap", tests=(Test(2, _PROT_EXEC, _PROT_EXEC), Test(3, _MAP_ANONYMOUS, _MAP_ANONYMOUS))),
    # A private mapping of a library is executable and can be written over, where both are asked.
    Rule("mmap", tests=(Test(2, _PROT_WRITE_EXEC, _PROT_WRITE_EXEC),)),
)
NO_EXEC = (Rule("execve"), Rule("execveat"))

ALONE = (
    Rule("fork"),
    Rule("vfork"),
    Rule("clone", tests=(Test(0, _CLONE_THREAD, 0),)),
    Rule("socketpair"),
    # Signals, limits and priorities reach every process of the same user: other calls.
    *map(Rule, ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")),
    *map(Rule, ("pidfd_send_signal", "setpriority", "ioprio_set", "sched_setparam")),
    *map(Rule, ("sched_setscheduler", "sched_setaffinity", "sched_setattr", "process_mrelease")),
    Rule("prlimit64", tests=(Test(0, _ALL, 0, equal=False),)),
    # F_SETOWN, F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP: a signal sent by a descriptor.
    *(Rule("fcntl", tests=(Test(1, _ALL, command),)) for command in (8, 10, 15)),
    *(Rule("ioctl", tests=(Test(1, _ALL, command),)) for command in (0x8901, 0x8902)),
)
"""For the child of one locked call: no other process, in either direction. Threads are fine."""


@functools.cache
def host_lock(exec_mode: str, egress: str) -> bytes:
    """The lock of the tool host and so of everything in the sandbox."""
    if exec_mode == "never":
        return assemble((*ALWAYS, *NO_SOCKETS, *NO_NEW_CODE, *NO_MAPPED_CODE, *NO_EXEC))
    if exec_mode == "once":
        return assemble((*ALWAYS, *NO_SOCKETS, *map(Rule, ("memfd_create", "memfd_secret"))))
    return assemble((*ALWAYS, *NO_HIDDEN_MODES, *_families(egress)))


@functools.cache
def call_lock(exec_mode: str) -> bytes:
    """The further lock of a call's child that runs Python and nothing else.

    In a sandbox for vetted commands the host itself is less locked, so it adds what is missing.
    """
    if exec_mode == "never":
        return assemble(ALONE)
    return assemble((*ALONE, *NO_SOCKETS, *NO_NEW_CODE, *NO_MAPPED_CODE, *NO_EXEC))


@functools.cache
def module_lock() -> bytes:
    """What a shipped module is refused beyond the lock of its call's child."""
    return assemble(NO_HIDDEN_MODES)


def command_lock() -> bytes:
    """The further lock of a vetted command: each execve asks, and only the first is let through.

    The loader still maps libraries, but only from files; files that could have been written here
    lie on mounts without execution.
    """
    return assemble(
        (
            *NO_NEW_CODE,
            *NO_ANONYMOUS_CODE,
            *NO_HIDDEN_MODES,
            Rule("execve", NOTIFY),
            Rule("execveat", NOTIFY),
        )
    )


def _families(egress: str) -> tuple[Rule, ...]:
    """Socket families that code may use; there is no interface but ``lo``.

    AF_UNIX is allowed only where the relay needs it to reach the proxy: such a sandbox has no
    mounted folder, so there is no socket file in it that leads anywhere else.
    """
    allowed = (_AF_INET, _AF_INET6, _AF_UNIX) if egress == "tunnel" else (_AF_INET, _AF_INET6)
    other = tuple(Test(0, _ALL, family, equal=False) for family in allowed)
    return (Rule("socket", errno.EAFNOSUPPORT, other),)
