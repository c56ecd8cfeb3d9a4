"""What is known about a running container, from three witnesses: Engine, kernel, tool host.

Where the engine is on another machine, or its processes are not to be seen in our ``/proc``, there
are two: the Engine, and the tool host, which reads ``/proc`` for us. It is our code, the first in
the container, and locked; the same lists are checked.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import SandboxError, SandboxLost, SandboxRefused

from . import proc
from .confined import host_security, labels
from .engine import Engine, Inspect
from .filters import Programs, read_all
from .frames import Frame
from .report import SelfTest

_NAMESPACES = ("net", "pid", "ipc", "uts", "mnt")
_INITIAL = {"pid": 0xEFFFFFFC, "ipc": 0xEFFFFFFF, "uts": 0xEFFFFFFE}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a sandbox is judged by."""

    inspect: Inspect
    """The Engine: what it says it made."""
    processes: tuple[proc.Process, ...]
    """The kernel: every process in the container, not only the first."""
    filters: Mapping[int, Programs] | None
    """The kernel: the seccomp filters of every thread; None where it does not tell."""
    security: frozenset[str]
    """The Engine: what its host adds to every container."""
    labels: Mapping[int, str]
    """The kernel: what AppArmor calls every process; empty where it cannot be asked."""
    mounts: tuple[proc.MountPoint, ...]
    interfaces: frozenset[str]
    shared_namespaces: frozenset[str]
    """Namespaces that the container shares with this process."""
    self_test: SelfTest
    """The tool host: what it tried, and how that ended."""


def gather(engine: Engine, container: str, self_test: SelfTest) -> Evidence:
    """Ask all three.

    Raises:
        SandboxLost: the container is gone.
        SandboxError: the kernel cannot be asked, for example because the engine is elsewhere.

    """
    inspect = engine.inspect(container)
    pid = first_process(inspect)
    if inspect is None or not pid:
        raise SandboxLost(f"container {container[:12]} ended while it was looked at")
    try:
        processes = proc.processes(pid)
        return Evidence(
            inspect=inspect,
            processes=processes,
            filters=read_all(process.pid for process in processes),
            security=host_security(engine),
            labels=labels(process.pid for process in processes),
            mounts=proc.mounts(pid),
            interfaces=proc.interfaces(pid),
            shared_namespaces=_shared_namespaces(pid),
            self_test=self_test,
        )
    except OSError as exc:
        raise SandboxError(f"cannot read /proc/{pid} of container {container[:12]}: {exc}") from exc


def hear(engine: Engine, container: str, seen: Frame, self_test: SelfTest) -> Evidence:
    """Ask the two that there are for an engine whose processes cannot be seen from here.

    Raises:
        SandboxLost: the container is gone, or the tool host does not say what it sees.
        SandboxRefused: the Engine sees more processes, or fewer.

    """
    inspect = engine.inspect(container)
    if inspect is None or not first_process(inspect):
        raise SandboxLost(f"container {container[:12]} ended while it was looked at")
    try:
        processes = tuple(
            proc.parse_process(int(pid), status) for pid, status in seen["processes"].items()
        )
        evidence = Evidence(
            inspect=inspect,
            processes=processes,
            filters=None,
            security=host_security(engine),
            labels={},
            mounts=proc.parse_mounts(seen["mounts"]),
            interfaces=proc.parse_interfaces(seen["interfaces"]),
            shared_namespaces=_initial_namespaces(seen["namespaces"]),
            self_test=self_test,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise SandboxLost(f"the tool host did not report what it sees: {error!r}") from None
    if (known := engine.processes(container)) != len(processes):
        raise SandboxRefused(
            f"the sandbox was destroyed: its engine sees {known} processes in it, "
            f"and its tool host {len(processes)}"
        )
    return evidence


def first_process(inspect: Inspect | None) -> int:
    """The host's number of the container's first process; 0 when it does not run."""
    return int(((inspect or {}).get("State") or {}).get("Pid") or 0)


def _shared_namespaces(pid: int) -> frozenset[str]:
    """Only root may look; without root the interfaces, the mounts and the Engine have to do."""
    if os.geteuid() != 0:
        return frozenset()
    return frozenset(name for name in _NAMESPACES if _namespace(pid, name) == _namespace(0, name))


def _initial_namespaces(links: Mapping[str, str]) -> frozenset[str]:
    """Those that are the machine's own: the kernel gives these the same numbers everywhere."""
    if links.keys() != _INITIAL.keys():
        raise ValueError("not the namespaces that were asked for")
    return frozenset(name for name, link in links.items() if link == f"{name}:[{_INITIAL[name]}]")


def _namespace(pid: int, name: str) -> str:
    return os.readlink(Path("/proc") / (str(pid) if pid else "self") / "ns" / name)
