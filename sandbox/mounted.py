"""Every mount as the container sees it: which must be there, with which flags, and no other."""

from collections.abc import Iterator
from dataclasses import dataclass

from .confined import own_users
from .container import EXCHANGE, HOST_FLAGS, HOST_TREE, WORKSPACE, Settings
from .expected import Finding
from .proc import MountPoint
from .profile import DEVICES, OWN_MOUNTS, is_device, is_mask
from .spec import Exec, SandboxSpec

_ALWAYS_FOLLOW = ("/", HOST_TREE)
"""What the runtime makes a follower of its original in every container: the image's own files and
the tool host's. Nobody mounts anything on those on the host, and only root could."""


@dataclass(frozen=True, slots=True)
class _MountRule:
    """How one mount must look; of several at one place only the last can be reached."""

    target: str
    kind: str | None
    flags: tuple[str, ...]
    root: str | None = None
    """The part of the file system; None where it does not matter."""


def mount_rules(settings: Settings, *, devices: bool) -> tuple[_MountRule, ...]:
    """The mounts that must be there, with the flags that each must have.

    In a user namespace nobody can make ``devices``, so there the runtime mounts the host's.
    """
    # Code may execute what it writes; nobody else finds anything executable to write to.
    noexec = () if settings.spec.exec is Exec.FREE else ("noexec",)
    rules = [
        _MountRule("/", None, ("ro",)),
        _MountRule("/proc", "proc", ("ro", "nosuid", "nodev", "noexec")),
        _MountRule("/proc/sys", "proc", ("ro",)),
        _MountRule("/sys", "tmpfs", ("ro",)),
        _MountRule("/dev", "tmpfs", ("nosuid",)),
        _MountRule("/dev/shm", "tmpfs", ("nosuid", "nodev", "noexec")),
        _MountRule("/tmp", "tmpfs", ("nosuid", "nodev", *noexec)),
        _MountRule(HOST_TREE, None, HOST_FLAGS),
    ]
    if not settings.stdio:
        rules.append(_MountRule(EXCHANGE, None, ("ro",)))
    if settings.spec.mount is not None:
        kind = "tmpfs" if settings.spec.mount.volume else None
        rules.append(_MountRule(WORKSPACE, kind, workspace_flags(settings.spec)))
    if devices:
        rules += [_MountRule(f"/dev{root}", "devtmpfs", (), root) for root in DEVICES]
    return tuple(rules)


def workspace_flags(spec: SandboxSpec) -> tuple[str, ...]:
    """What the mount must have that a sandbox sees as its workspace: an empty slot has it all."""
    assert spec.mount is not None
    access = "ro" if spec.mount.read_only or spec.mount.awaited else "rw"
    # A volume has the same flags in all its sandboxes; what is locked executes nothing from it.
    execute = spec.mount.volume_exec or (spec.exec is Exec.FREE and not spec.mount.awaited)
    return (access, "nosuid", "nodev") if execute else (access, "nosuid", "nodev", "noexec")


def of_mounts(
    mounts: tuple[MountPoint, ...], settings: Settings, security: frozenset[str]
) -> Iterator[Finding]:
    """What is wrong with the mounts, where the host has this ``security``."""
    at = {mount.target: mount for mount in mounts}
    rules = {rule.target: rule for rule in mount_rules(settings, devices=own_users(security))}
    for rule in rules.values():
        mount = at.get(rule.target)
        if mount is None:
            yield Finding(f"the mount {rule.target}", rule.flags, "not there")
        elif not mount.has(*rule.flags) or rule.kind not in (None, mount.kind):
            yield Finding(
                f"the mount {rule.target}", rule.flags, (mount.kind, *sorted(mount.flags))
            )
        elif rule.root not in (None, mount.root):
            yield Finding(f"the mount {rule.target}", rule.root, mount.root)
    for target in at.keys() - rules.keys() - OWN_MOUNTS:
        if not target.startswith("/sys/"):  # Below the mask, out of reach.
            yield Finding(f"the mount {target}", "not there", at[target].kind)
    for target in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
        if target in at and not at[target].has("ro"):
            yield Finding(f"the mount {target}", "ro", sorted(at[target].flags))
    yield from of_propagation(mounts, settings)


def of_propagation(mounts: tuple[MountPoint, ...], settings: Settings) -> Iterator[Finding]:
    """What is mounted on a folder of the host later may appear in one that was mounted from it.

    That is meant for a slot, whose original is looked at in ``verify_slot``. The other way round,
    from a sandbox to the host, is never meant.
    """
    may_follow = {*_ALWAYS_FOLLOW}
    if settings.slot is not None or (settings.spec.mount and settings.spec.mount.volume):
        may_follow.add(WORKSPACE)
    for mount in mounts:
        if mount.group:
            yield Finding(f"the mount {mount.target}", "on its own", "shared")
        elif mount.follows and not (mount.target in may_follow or _out_of_reach(mount)):
            yield Finding(f"the mount {mount.target}", "on its own", "a follower of the host's")


def _out_of_reach(mount: MountPoint) -> bool:
    """Whether it is one of the host's devices, or nobody sees what is mounted on it.

    On those devices nobody mounts anything, and only the host's root could. Where they are mounted
    from the host, and its mounts are shared, they follow it: also ``/dev/null``, as a mask.
    """
    return is_device(mount) or is_mask(mount) or mount.target.startswith("/sys/")
