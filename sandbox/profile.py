"""What a sandbox can really do, as capabilities: read from the evidence, not from the spec."""

from ..policy.capability import ALL, Capability, CapabilitySet
from .container import EXCHANGE, HOST_TREE, MASKED_PATHS, READ_ONLY_PATHS
from .evidence import Evidence
from .proc import MountPoint
from .spec import Egress

OWN_MOUNTS = frozenset(
    {"/", "/proc", "/dev", "/dev/pts", "/dev/mqueue", "/dev/shm", "/sys", "/tmp", EXCHANGE}
) | {HOST_TREE, "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", *MASKED_PATHS, *READ_ONLY_PATHS}
"""Where every container has a mount that shows nothing of the host's files."""

DEVICES = ("/null", "/zero", "/full", "/random", "/urandom", "/tty")
"""Those that every container has. Where it cannot have its own they are mounted from the host."""

ENGINE_FILTER = 1
"""The Engine's own seccomp filter. A locked process carries more than that."""

CODE = (
    "execute a program",
    "execute a program by descriptor",
    "make a file in memory",
    "map anonymous memory executable",
    "map a scratch file executable",
    "make memory executable afterwards",
)
"""The tool host's attempts that must all have failed where code is not granted."""


def derive(evidence: Evidence, egress: Egress) -> CapabilitySet:
    """The capabilities that a container amounts to.

    ``egress`` is what the gateway will hand in; a connection is not part of the configuration.
    """
    if _unconfined(evidence):
        return ALL
    found = set()
    if any(shows_host_files(mount) for mount in evidence.mounts):
        found.add(Capability.FILES)
    if egress is not Egress.NONE or evidence.interfaces != {"lo"}:
        found.add(Capability.INTERNET)
    if _executes(evidence):
        found.add(Capability.CODE)
    return frozenset(found)


def shows_host_files(mount: MountPoint) -> bool:
    """Whether a mount brings in anything but the container's own system."""
    return not (mount.target in OWN_MOUNTS or mount.target.startswith("/sys/") or is_device(mount))


def is_device(mount: MountPoint) -> bool:
    """Whether it shows one of those devices, and at its own place."""
    known = mount.root in DEVICES and mount.target == f"/dev{mount.root}"
    return known and mount.kind == "devtmpfs"


def is_mask(mount: MountPoint) -> bool:
    """Whether it hides a file that has to be hidden, with nothing but the host's ``/dev/null``."""
    null = (mount.kind, mount.root) == ("devtmpfs", "/null")
    return null and mount.target in MASKED_PATHS


def _unconfined(evidence: Evidence) -> bool:
    """Whether the walls themselves are missing: then nothing else matters."""
    host = evidence.inspect.get("HostConfig") or {}
    return bool(
        host.get("Privileged")
        or host.get("CapAdd")
        or host.get("Devices")
        or host.get("DeviceRequests")
        or evidence.shared_namespaces
        or not evidence.processes
        or any(process.seccomp != 2 for process in evidence.processes)
        or any(set(mask) != {"0"} for p in evidence.processes for mask in p.capabilities)
    )


def _executes(evidence: Evidence) -> bool:
    """Whether a process is without its lock, or a way to new code was not seen to fail."""
    unlocked = any(process.filters <= ENGINE_FILTER for process in evidence.processes)
    refused = {a.name for a in evidence.self_test.attempts if a.outcome == "refused"}
    return unlocked or not refused.issuperset(CODE)
