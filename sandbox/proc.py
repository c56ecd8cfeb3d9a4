"""What the host's kernel says about a container's processes, apart from what the Engine says."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from trilemma.errors import SandboxError

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")
_SPECIAL = re.compile(r"[ \t\n\\]")
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Process:
    """The security state of one process, from ``/proc/<pid>/status``."""

    pid: int
    seccomp: int
    """2 where a filter is in force."""
    filters: int
    """How many filters: the Engine's is one, the tool host's lock is another."""
    no_new_privileges: bool
    capabilities: frozenset[str]
    """The distinct values of the five capability masks; all zero for a sandbox."""
    uids: frozenset[int]
    gids: frozenset[int]
    """Real, effective, saved and file system ids, and supplementary groups."""


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line of ``/proc/<pid>/mountinfo``."""

    target: str
    kind: str
    """File system type."""
    root: str
    """The part of that file system which is mounted."""
    device: str
    """``major:minor``."""
    flags: frozenset[str]
    group: str = ""
    """Its peers: what is mounted on one of them appears on all."""
    follows: str = ""
    """The group whose mounts appear on it as well."""

    def has(self, *flags: str) -> bool:
        """Whether every one of ``flags`` is set."""
        return self.flags.issuperset(flags)


def processes(pid: int) -> tuple[Process, ...]:
    """Every process in the container whose first process is ``pid``, as they are now."""
    found = []
    for member in members(member_list(pid)):
        try:
            found.append(read_process(member))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It ended meanwhile.
    return tuple(found)


def read_process(pid: int) -> Process:
    """The state of one process, its users as they are called inside."""
    found = parse_process(pid, (_PROC / str(pid) / "status").read_text())
    return replace(
        found,
        uids=inside(found.uids, (_PROC / str(pid) / "uid_map").read_text()),
        gids=inside(found.gids, (_PROC / str(pid) / "gid_map").read_text()),
    )


def inside(ids: frozenset[int], mapping: str) -> frozenset[int]:
    """What these ids are called within a user namespace; -1 for one that it does not know."""
    ranges = [tuple(map(int, line.split())) for line in mapping.splitlines()]
    return frozenset(
        next((i - outer + inner for inner, outer, count in ranges if 0 <= i - outer < count), -1)
        for i in ids
    )


def parse_process(pid: int, status: str) -> Process:
    """The state of one process, out of the text of its ``status``."""
    fields = {}
    for line in status.splitlines():
        name, _, value = line.partition(":")
        fields[name] = value.split()
    return Process(
        pid=pid,
        seccomp=int(fields["Seccomp"][0]),
        # Kernels before 5.9 do not count filters. Then the lock cannot be seen, and 0 is refused.
        filters=int(fields.get("Seccomp_filters", ["0"])[0]),
        no_new_privileges=fields["NoNewPrivs"] == ["1"],
        capabilities=frozenset(
            fields[mask][0] for mask in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        ),
        uids=frozenset(map(int, fields["Uid"])),
        gids=frozenset(map(int, fields["Gid"] + fields["Groups"])),
    )


def mounts(pid: int) -> tuple[MountPoint, ...]:
    """Every mount as the process sees it."""
    return parse_mounts(_mountinfo(str(pid)))


def own_mounts() -> tuple[MountPoint, ...]:
    """Every mount as this process sees it."""
    return parse_mounts(_mountinfo("self"))


def parse_mounts(mountinfo: str) -> tuple[MountPoint, ...]:
    """Every mount, out of the text of a ``mountinfo``."""
    return tuple(_mount_point(line) for line in _lines(mountinfo))


def mount_at(pid: int, target: Path) -> MountPoint | None:
    """The mount that the process reaches at ``target``: of several there, the last."""
    name = str(target)
    written = _SPECIAL.sub(lambda match: f"\\{ord(match[0]):03o}", name)
    found = [_mount_point(line) for line in _lines(_mountinfo(str(pid))) if written in line]
    return next((point for point in reversed(found) if point.target == name), None)


def interfaces(pid: int) -> frozenset[str]:
    """Names of the network interfaces that the process sees."""
    return parse_interfaces((_PROC / str(pid) / "net/dev").read_text())


def parse_interfaces(table: str) -> frozenset[str]:
    """Names of the network interfaces, out of the text of a ``net/dev``."""
    return frozenset(line.partition(":")[0].strip() for line in table.splitlines()[2:])


def _mountinfo(process: str) -> str:
    # A path is any bytes; the kernel escapes only what would end a field or a line.
    path = _PROC / process / "mountinfo"
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _lines(mountinfo: str) -> list[str]:
    return [line for line in mountinfo.split("\n") if line]


def _mount_point(line: str) -> MountPoint:
    before, _, after = line.partition(" - ")
    _, _, device, root, target, flags, *propagation = before.split(" ")
    peers = dict(field.split(":", 1) for field in propagation if ":" in field)
    return MountPoint(
        target=_unescape(target),
        kind=after.split()[0],
        root=_unescape(root),
        device=device,
        flags=frozenset(flags.split(",")),
        group=peers.get("shared", ""),
        follows=peers.get("master", ""),
    )


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def member_list(pid: int) -> Path:
    """The file that lists all processes of the container of ``pid``: its control group's."""
    for line in (_PROC / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("pids", ""):
            found = _CGROUP / controllers / path.lstrip("/") / "cgroup.procs"
            if path not in ("", "/") and found.is_file():
                return found
    raise SandboxError(f"cannot list the processes of the container of pid {pid} through cgroups")


def members(listed: Path) -> tuple[int, ...]:
    """The process ids in such a file now."""
    return tuple(map(int, listed.read_text().split()))
