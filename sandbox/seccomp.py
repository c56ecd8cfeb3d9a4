"""The seccomp profile that the Engine puts on a container: an allow-list, smaller than Docker's.

What is not named here is refused with EPERM. The profile cannot refuse ``execve``, for the runtime
applies it before it executes the container's first process; the tool host does that to itself.

Missing on purpose: every way to another namespace or mount, ptrace and the other ways into a
process, io_uring, userfaultfd, keyrings, bpf, perf, device nodes and fifos, message queues, file
handles, setting extended attributes (a workspace's identity mark is one), and changing user or
group.
"""

import json
from typing import Any

from .spec import Exec

_Rule = dict[str, Any]

FILES = """
    open openat openat2 creat close close_range read write pread64 pwrite64 readv writev preadv
    preadv2 pwritev pwritev2 lseek stat fstat lstat newfstatat statx access faccessat faccessat2
    dup dup2 dup3 fcntl flock fsync fdatasync truncate ftruncate fallocate
    fadvise64 copy_file_range sendfile splice pipe pipe2 umask
    getdents getdents64 mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat
    symlink symlinkat readlink readlinkat chdir fchdir getcwd chmod fchmod fchmodat fchmodat2
    chown fchown lchown fchownat utime utimes utimensat statfs fstatfs
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
"""

MEMORY = """
    mmap munmap mprotect mremap madvise brk msync membarrier
"""

PROCESSES = """
    fork execve wait4 waitid exit exit_group getpid getppid gettid getpgid getpgrp setpgid
    getsid setsid getuid geteuid getgid getegid getresuid getresgid getgroups capget
    kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait
    sigaltstack pause restart_syscall pidfd_open pidfd_send_signal arch_prctl seccomp
    set_tid_address set_robust_list rseq futex futex_wake futex_wait futex_requeue
"""

TIME_AND_LIMITS = """
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times alarm getitimer
    setitimer sched_yield sched_getaffinity sched_getparam sched_getscheduler
    sched_get_priority_max sched_get_priority_min getcpu getpriority setpriority
    getrlimit setrlimit prlimit64 getrusage sysinfo uname getrandom
"""

WAITING = """
    select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
    epoll_pwait2 eventfd eventfd2
"""

SOCKETS = """
    socketpair connect sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown getsockname
    getpeername setsockopt getsockopt
"""

PROGRAMS = """
    vfork rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend signalfd signalfd4 get_robust_list
    futex_waitv sched_setaffinity mincore mlock mlock2 munlock
    sync_file_range syncfs readahead tee futimesat
    timer_create timer_settime timer_gettime timer_getoverrun timer_delete
    timerfd_create timerfd_settime timerfd_gettime
"""
"""What Python never asks for and programs do: vetted ones, and those of the code capability."""

CODE_ONLY = """
    execveat memfd_create bind listen accept accept4 inotify_init inotify_init1 inotify_add_watch
    inotify_rm_watch sync shmget shmat shmdt shmctl
"""
"""What programs of all kinds need. With network ``none`` a listener is heard on ``lo`` only."""

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _SOCK_DGRAM = 1, 2
_SOCK_TYPE_MASK = 0xF

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

_PRCTL = {
    "PR_SET_PDEATHSIG": 1,
    "PR_GET_DUMPABLE": 3,
    "PR_SET_DUMPABLE": 4,
    "PR_SET_NAME": 15,
    "PR_GET_NAME": 16,
    "PR_GET_SECCOMP": 21,
    "PR_SET_SECCOMP": 22,
    "PR_CAPBSET_READ": 23,
    "PR_SET_CHILD_SUBREAPER": 36,
    "PR_SET_NO_NEW_PRIVS": 38,
    "PR_GET_NO_NEW_PRIVS": 39,
    "PR_SET_VMA": 0x53564D41,
}

_IOCTL = {
    "TCGETS": 0x5401,
    "TIOCGPGRP": 0x540F,
    "TIOCGWINSZ": 0x5413,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
    "SECCOMP_IOCTL_NOTIF_RECV": 0xC0502100,
    "SECCOMP_IOCTL_NOTIF_SEND": 0xC0182101,
    "SECCOMP_IOCTL_NOTIF_ID_VALID": 0x40082102,
}

_IOCTL_CODE_ONLY = {
    "TCSETS": 0x5402,
    "TCSETSW": 0x5403,
    "TCSETSF": 0x5404,
    "TIOCSCTTY": 0x540E,
    "TIOCSPGRP": 0x5410,
    "TIOCSWINSZ": 0x5414,
    "TIOCGSID": 0x5429,
    "TIOCGPTN": 0x80045430,
    "TIOCSPTLCK": 0x40045431,
}
"""Pseudo-terminals, for programs that want one. TIOCSTI, which types for others, is not here."""


def profile(exec_mode: Exec) -> dict[str, Any]:
    """The profile for one exec mode, as the Engine reads it."""
    code = exec_mode is Exec.FREE
    groups = [FILES, MEMORY, PROCESSES, TIME_AND_LIMITS, WAITING, SOCKETS]
    if exec_mode is not Exec.NEVER:
        groups.append(PROGRAMS)
    ioctls = dict(_IOCTL)
    families = [_AF_UNIX]
    if code:
        groups.append(CODE_ONLY)
        ioctls |= _IOCTL_CODE_ONLY
        families += [_AF_INET, _AF_INET6]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            {"names": sorted(" ".join(groups).split()), "action": "SCMP_ACT_ALLOW"},
            _masked("clone", 0, _NEW_NAMESPACES, 0),
            # glibc then falls back to clone, whose flags a filter can read.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            *(_equal("prctl", 0, option) for option in _PRCTL.values()),
            *(_equal("ioctl", 1, request) for request in ioctls.values()),
            *(_socket(family, kind) for family in families for kind in (_SOCK_STREAM, _SOCK_DGRAM)),
        ],
    }


def profile_json(exec_mode: Exec) -> str:
    """The profile as the text that goes into the container's configuration."""
    return json.dumps(profile(exec_mode), separators=(",", ":"), sort_keys=True)


def _equal(name: str, index: int, value: int) -> _Rule:
    condition = {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition]}


def _masked(name: str, index: int, mask: int, value: int) -> _Rule:
    condition = {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition]}


def _socket(family: int, kind: int) -> _Rule:
    """A socket of one family and type: raw sockets match no rule."""
    rule = _masked("socket", 1, _SOCK_TYPE_MASK, kind)
    rule["args"].insert(0, {"index": 0, "value": family, "op": "SCMP_CMP_EQ"})
    return rule
