"""Which running gateway a session belongs to, and whether that gateway still lives."""

import os
from pathlib import Path

_PROC = Path("/proc")


def current() -> str:
    """The identity of this process: ``pid-start-boot-namespace``.

    A pid alone comes back after a while; with the time it started and the boot it belongs to,
    it never does. The namespace says where the pid means anything.
    """
    return _identity(os.getpid())


def alive(instance: str) -> bool:
    """False only where the process is certainly gone.

    A process in another pid namespace of the same boot cannot be seen; it counts as alive.
    """
    pid, _, rest = instance.partition("-")
    if not pid.isdecimal():
        return False
    boot, namespace = _boot(), _namespace()
    if not boot:
        return _answers(int(pid))
    _, _, place = rest.partition("-")
    theirs, _, where = place.partition("-")
    if theirs != boot:
        return False
    return where != namespace or instance == _identity(int(pid))


def _identity(pid: int) -> str:
    return f"{pid}-{_start(pid)}-{_boot()}-{_namespace()}"


def _start(pid: int) -> str:
    """When the process started, in ticks since boot; empty where it is gone or a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The name in brackets may hold anything, so the fields are counted from its end.
    fields = stat[stat.rindex(")") + 2 :].split()
    return "" if fields[0] in "ZX" else fields[19]


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink(_PROC / "self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
