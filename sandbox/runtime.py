"""The runtime directory: what one gateway process keeps on the host while it runs."""

import functools
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trilemma.errors import SandboxError

_NAME = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{8})-([0-9]{1,12})-([0-9]{1,10})-([0-9]{1,20})-([0-9a-f]{4})"
)

_INITIAL = {"pid": 0xEFFFFFFC, "uts": 0xEFFFFFFE}
"""Numbers of the namespaces that a system starts with: the kernel gives them everywhere."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One gateway process, named so that anybody can tell later whether it still runs."""

    machine: str
    """Several machines may use one engine, and none of them can tell what runs on another. The same
    digits mean the same machine, over a reboot as well where it can be told again; see ``fate.py``.
    """
    boot: str
    """First eight digits of the kernel's boot id: a process id means nothing after a reboot."""
    namespace: int
    """The pid namespace in which ``pid`` means something."""
    pid: int
    started: int
    """Start time in clock ticks: a process id may be used again."""
    token: str
    """Tells apart several gateways in one process."""

    @classmethod
    def current(cls) -> Self:
        """A new instance of the calling process."""
        pid = os.getpid()
        started = _start_time(pid)
        if started is None:
            raise SandboxError("cannot read /proc/self/stat; Trilemma needs a mounted /proc")
        return cls(_machine(), _boot(), _namespace(), pid, started, secrets.token_hex(2))

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read what ``str(instance)`` wrote; None for anything else."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        machine, boot, namespace, pid, started, token = match.groups()
        return cls(machine, boot, int(namespace), int(pid), int(started), token)

    @property
    def of_this_machine(self) -> bool:
        """Whether it was started here, in this system or an earlier boot of it."""
        return self.machine == _machine()

    @property
    def visible(self) -> bool:
        """Whether its process could be seen from here."""
        return (self.boot, self.namespace) == (_boot(), _namespace())

    def alive(self) -> bool:
        """False only where the process is certainly gone; it left something on this machine.

        What lies on a machine's own disk, a ledger too, is used by one system at a time: whatever
        used it before this one was started is gone. In another namespace nobody can tell.
        """
        if self.boot != _boot():
            return False
        return not self.visible or _start_time(self.pid) == self.started

    def __str__(self) -> str:
        process = f"{self.namespace}-{self.pid}-{self.started}"
        return f"{self.machine}-{self.boot}-{process}-{self.token}"


@dataclass(frozen=True, slots=True)
class RuntimeDir:
    """``<root>/<instance>/``, private to the gateway's user.

    Holds one folder per sandbox, with its sockets, and ``views/`` for prepared mounts. The
    folders of sandboxes are open to every user, but this one is not: a sandbox reaches its own
    folder through a bind mount, and nobody else on the host reaches it at all.
    """

    path: Path
    instance: str

    @classmethod
    def create(cls, root: Path | None = None) -> Self:
        """Make the directory of a new instance.

        Raises:
            SandboxError: the root belongs to somebody else, or cannot be written.

        """
        root = root or default_root()
        instance = str(Instance.current())
        _private_directory(root)
        path = root / instance
        try:
            path.mkdir(mode=0o700)
            (path / "views").mkdir(mode=0o700)
        except OSError as exc:
            raise SandboxError(f"cannot create runtime directory {str(path)!r}: {exc}") from exc
        return cls(path, instance)

    @property
    def views(self) -> Path:
        """Where prepared views of workspaces are mounted."""
        return self.path / "views"

    def exchange(self) -> Path:
        """A new folder that one sandbox will see as ``/run/trilemma``."""
        path = self.path / secrets.token_hex(6)
        try:
            path.mkdir()
            path.chmod(0o755)
        except OSError as exc:
            raise SandboxError(f"cannot create {str(path)!r}: {exc}") from exc
        return path


def default_root() -> Path:
    """``/run/trilemma`` for root, else below ``$XDG_RUNTIME_DIR``, else below ``/tmp``."""
    if os.geteuid() == 0:
        return Path("/run/trilemma")
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / "trilemma"
    return Path(f"/tmp/trilemma-{os.geteuid()}")


def runtime_dirs(root: Path) -> Iterator[tuple[Path, Instance]]:
    """Every instance directory under ``root``, of living and dead gateways."""
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        if (instance := Instance.parse(path.name)) is not None:
            yield path, instance


def live_instances(root: Path | None = None) -> tuple[str, ...]:
    """The instances whose gateway still runs."""
    found = runtime_dirs(root or default_root())
    return tuple(str(instance) for _, instance in found if instance.alive())


def alive(instance: str) -> bool:
    """False only where the gateway of that name, which left something here, is certainly gone.

    A name that another version gave cannot be judged. Without a name nobody runs.
    """
    parsed = Instance.parse(instance)
    return bool(instance) if parsed is None else parsed.alive()


def _private_directory(path: Path) -> None:
    """Make ``path`` if need be; refuse one that others own, write or could have planted."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as exc:
        raise SandboxError(f"cannot use runtime directory {str(path)!r}: {exc}") from exc
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise SandboxError(f"runtime directory {str(path)!r} belongs to somebody else; remove it")
    if found.st_mode & 0o077:
        path.chmod(0o700)


@functools.cache
def _machine() -> str:
    """Eight digits that stay over a reboot; machines made from one image differ in their names.

    In a container neither its name nor the number in its image says on which machine it runs. There
    the boot does, and what an earlier one left cannot be judged.
    """
    number = _machine_id() if _is_own_system() else b""
    number = number or b"boot " + _boot_id()
    return hashlib.sha256(number + os.fsencode(os.uname().nodename)).hexdigest()[:8]


def _machine_id() -> bytes:
    try:
        return Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        return b""


def _is_own_system() -> bool:
    """Whether process numbers and the machine's name are the machine's own, not a container's."""
    return all(_namespace(name) == number for name, number in _INITIAL.items())


def _boot() -> str:
    return _boot_id()[:8].decode()


def _boot_id() -> bytes:
    return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()


def _namespace(name: str = "pid") -> int:
    return Path(f"/proc/self/ns/{name}").stat().st_ino


def _start_time(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may hold anything.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
