"""From a spec to the container's configuration: every setting, none left to a default."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..policy.capability import ordered
from .brought import NOTHING, Brought
from .idmap import SANDBOX_ID
from .seccomp import profile_json
from .slots import Slot
from .spec import Exec, SandboxSpec

WORKSPACE = "/workspace"
EXCHANGE = "/run/trilemma"
"""Where a sandbox sees the folder with the gateway's sockets."""

LABEL = "dev.trilemma"

HOST_TREE = "/opt/trilemma"
"""Where every sandbox has the tool host with its interpreter and libraries: see hosttree.py."""

HOST_FLAGS = ("ro", "nosuid", "nodev")
"""How it is mounted there."""

HOST_LABEL = "dev.trilemma.host"
"""Of the volume. Where somebody has removed that, the Engine makes an empty one with this label,
which nobody takes for a stranger's."""

_PYTHON = f"{HOST_TREE}/usr/bin/python3.11"

ENTRYPOINT = (
    # By its own loader, for the image's may be anything or missing. No file of the image may
    # say where libraries lie.
    *(f"{HOST_TREE}/ld.so", "--inhibit-cache", "--library-path", f"{HOST_TREE}/lib"),
    *("--argv0", _PYTHON, _PYTHON, "-I", "-S", "-B", "-X", "utf8"),
    f"{HOST_TREE}/toolhost/main.py",
)

ENVIRONMENT = (
    "HOME=/tmp",
    # What a library would otherwise read from the image: tables that it trusts, and for OpenSSL
    # the names of further libraries.
    *("LC_ALL=C", "TZ=UTC", f"TZDIR={HOST_TREE}/usr/share/zoneinfo", "OPENSSL_CONF=/dev/null"),
    "PATH=/usr/bin:/bin",
)

MASKED_PATHS = (
    # Libraries that every loader loads first, ours as well.
    "/etc/ld.so.preload",
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/cmdline",
    "/proc/driver",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/irq",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/swaps",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/version",
    "/sys",
)
"""More than Docker hides: a sandbox has no business with the host's hardware at all.

What an image does not hold is left out by the runtime.
"""

READ_ONLY_PATHS = ("/proc", "/proc/sys")
"""All of it: ``/proc/self/mem`` writes even to memory that is mapped executable."""

_SHM = {True: 16 * 1024 * 1024, False: 64 * 1024}
_SCRATCH_FILES = 16_384
_CPU_PERIOD = 100_000
_HOST_FILES = 8_192
"""Of the tool host. Descriptors on their way through sockets are counted for a user, in all
sandboxes together, and only a process that may open more than that many may send one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One container's configuration in our words; the Engine's request is made from it alone."""

    spec: SandboxSpec
    name: str
    instance: str
    exchange: Path
    host: str
    """The engine's volume that holds the tool host's tree."""
    brought: Brought = NOTHING
    """What is left of the image's configuration."""
    runtime: str = "runc"
    slot: Slot | None = None
    """Where the view appears that this sandbox awaited when it was made."""
    stdio: bool = False
    """The gateway is reached over standard input and output; no folder is shared with it."""

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """What runs as process 1."""
        if self.stdio:
            return (*ENTRYPOINT, "stdio", str(self.spec.exec), str(self.spec.egress))
        return ENTRYPOINT

    @property
    def uid(self) -> int:
        """The user of every process inside: the owner of the view. Never 0."""
        return self.spec.mount.uid if self.spec.mount else SANDBOX_ID

    @property
    def gid(self) -> int:
        """The one group of every process inside."""
        return self.spec.mount.gid if self.spec.mount else SANDBOX_ID

    @property
    def user(self) -> str:
        """As the Engine takes it."""
        return f"{self.uid}:{self.gid}"

    @property
    def environment(self) -> list[str]:
        """The tool host's variables; those of the image are taken out by their names alone."""
        ours = {entry.partition("=")[0] for entry in ENVIRONMENT}
        return sorted({*ENVIRONMENT, *self.brought.variables} - ours)

    @property
    def tmpfs(self) -> str:
        """Mount options of the scratch: executable for the code capability only."""
        execute = "exec" if self.spec.exec is Exec.FREE else "noexec"
        return (
            f"rw,nosuid,nodev,{execute},size={self.spec.limits.scratch},"
            f"nr_inodes={_SCRATCH_FILES},mode=0700,uid={self.uid},gid={self.gid}"
        )

    @property
    def shm(self) -> int:
        """Size of ``/dev/shm``, which is always noexec."""
        return _SHM[self.spec.exec is Exec.FREE]

    @property
    def cpu_period(self) -> int:
        """The span, in microseconds, over which processor time is shared out."""
        return _CPU_PERIOD

    @property
    def cpu_quota(self) -> int:
        """Processor time in each period."""
        return int(self.spec.limits.cpus * _CPU_PERIOD)

    @property
    def ulimits(self) -> list[dict[str, Any]]:
        """No core dumps; open files of the tool host, which gives its children fewer."""
        return [
            {"Name": "nofile", "Soft": _HOST_FILES, "Hard": _HOST_FILES},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ]

    @property
    def labels(self) -> dict[str, str]:
        """What the janitor and a person looking at ``docker ps`` find it by."""
        return {
            f"{LABEL}.instance": self.instance,
            f"{LABEL}.domain": self.spec.domain,
            f"{LABEL}.session": self.spec.session,
            f"{LABEL}.profile": "+".join(ordered(self.spec.capabilities)) or "none",
        }

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """The tool host, the exchange folder, and the workspace where there is one."""
        mounts = [_volume(self.host, HOST_TREE, Labels={HOST_LABEL: "missing"})]
        if not self.stdio:
            mounts.append(_bind(self.exchange, EXCHANGE, read_only=True))
        if self.spec.mount is not None and self.spec.mount.volume:
            mounts.append(_volume(self.spec.mount.volume, WORKSPACE))
        elif self.spec.mount is not None:
            # The view carries its own flags. Asking for read-only here would make the runtime
            # remount it, and a remount drops nosuid, nodev and noexec.
            source, propagation = self.spec.mount.source, "rprivate"
            if self.slot is not None:
                source, propagation = self.slot.path, "rslave"
            mounts.append(_bind(source, WORKSPACE, read_only=False, propagation=propagation))
        return mounts

    @property
    def security(self) -> list[str]:
        """Security options: no new privileges, and our profile in full text."""
        return ["no-new-privileges:true", f"seccomp={profile_json(self.spec.exec)}"]


def configuration(settings: Settings) -> dict[str, Any]:
    """The body of the Engine's create request."""
    return {
        "Image": settings.spec.image,
        "Entrypoint": list(settings.entrypoint),
        "Cmd": [],
        "Env": settings.environment,
        "User": settings.user,
        "WorkingDir": "/",
        "Hostname": "sandbox",
        "Labels": settings.labels,
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdin": settings.stdio,
        "AttachStdout": settings.stdio,
        "AttachStderr": False,
        "OpenStdin": settings.stdio,
        # When the gateway is gone, so is the input, and then process 1 ends.
        "StdinOnce": settings.stdio,
        "HostConfig": _host(settings) | _limits(settings),
    }


def _host(settings: Settings) -> dict[str, Any]:
    return {
        "AutoRemove": True,
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": "none",
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "CapDrop": ["ALL"],
        "SecurityOpt": settings.security,
        "ReadonlyRootfs": True,
        "Mounts": settings.mounts,
        "Tmpfs": {"/tmp": settings.tmpfs},
        "ShmSize": settings.shm,
        "MaskedPaths": list(MASKED_PATHS),
        "ReadonlyPaths": list(READ_ONLY_PATHS),
        "LogConfig": {"Type": "none", "Config": {}},
        "Runtime": settings.runtime,
    }


def _limits(settings: Settings) -> dict[str, Any]:
    limits = settings.spec.limits
    return {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "CpuPeriod": settings.cpu_period,
        "CpuQuota": settings.cpu_quota,
        "PidsLimit": limits.processes,
        "Ulimits": settings.ulimits,
    }


def _volume(name: str, target: str, **options: Any) -> dict[str, Any]:
    """Its flags were given to it when it was made."""
    volume = {"Type": "volume", "Source": name, "Target": target}
    return volume | {"VolumeOptions": {"NoCopy": True, **options}}


def _bind(
    source: Path, target: str, *, read_only: bool, propagation: str = "rprivate"
) -> dict[str, Any]:
    bind = {
        "Type": "bind",
        "Source": str(source),
        "Target": target,
        "BindOptions": {"Propagation": propagation},
    }
    # The Engine leaves out what is false, and what it reports is compared with this.
    return bind | {"ReadOnly": True} if read_only else bind
