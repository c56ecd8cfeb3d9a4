"""What the engine's host adds to every container by itself: AppArmor, and users of its own."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .engine import Engine, Inspect
from .expected import Finding

APPARMOR, REMAPPED, ROOTLESS = "apparmor", "userns", "rootless"

PROFILE = "docker-default"
"""The Engine's own AppArmor profile: it denies mounts and ptrace and writing to /proc and /sys."""

_ENFORCED = f"{PROFILE} (enforce)"


@functools.lru_cache(maxsize=8)
def host_security(engine: Engine) -> frozenset[str]:
    """What the engine says its host has: ``apparmor``, ``seccomp``, ``userns``, ``rootless``..."""
    return security(engine.info())


def security(info: Inspect) -> frozenset[str]:
    """The same, out of what the engine says of itself."""
    options = (str(option).split(",") for option in info.get("SecurityOptions") or ())
    return frozenset(
        value
        for fields in options
        for name, _, value in (field.partition("=") for field in fields)
        if name == "name"
    )


def own_users(security: frozenset[str]) -> bool:
    """Whether every container is in a user namespace: its users are others on the engine's host."""
    return bool(security & {REMAPPED, ROOTLESS})


def labels(processes: Iterable[int]) -> dict[int, str]:
    """What the security module calls each process; empty where there is no such module."""
    found = {}
    for process in processes:
        try:
            text = (Path("/proc") / str(process) / "attr/current").read_text()
        except FileNotFoundError:
            continue  # It ended meanwhile.
        except OSError:
            text = ""
        found[process] = text.strip("\0\n ")
    return found


def of_confinement(
    security: frozenset[str], inspect: Inspect, labels: Mapping[int, str]
) -> Iterator[Finding]:
    """Whether a host that has AppArmor confines the container, and every process of it."""
    if APPARMOR not in security:
        return
    if inspect.get("AppArmorProfile") != PROFILE:
        yield Finding("the AppArmor profile", PROFILE, inspect.get("AppArmorProfile"))
    for process, label in labels.items():
        if label != _ENFORCED:
            yield Finding(f"of process {process}, the AppArmor label", _ENFORCED, label)
