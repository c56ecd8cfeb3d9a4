"""What the engine's host adds to every container by itself: AppArmor, and users mapped again."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from trilemma.errors import SandboxError

from .engine import Engine, Inspect
from .expected import Finding

APPARMOR, REMAPPED = "apparmor", "userns"

PROFILE = "docker-default"
"""The Engine's own AppArmor profile: it denies mounts and ptrace and writing to /proc and /sys."""

_ENFORCED = f"{PROFILE} (enforce)"


@functools.lru_cache(maxsize=8)
def host_security(engine: Engine) -> frozenset[str]:
    """What the engine says its host has: ``apparmor``, ``seccomp``, ``userns``, ``rootless``..."""
    options = (option.split(",") for option in engine.info().get("SecurityOptions") or ())
    return frozenset(
        value
        for fields in options
        for name, _, value in (field.partition("=") for field in fields)
        if name == "name"
    )


def refuse_remapping(security: frozenset[str]) -> None:
    """Refuse an engine that maps every container's users to others.

    A sandbox's socket and workspace belong to the very user that it runs as; that user is never
    root, so mapping it once more would protect nothing.

    Raises:
        SandboxError: it does.

    """
    if REMAPPED in security:
        raise SandboxError(
            "the container engine maps users (userns-remap), and what belongs to a sandbox's user "
            "would belong to nobody in it; take userns-remap out of daemon.json, or use another "
            "engine (DOCKER_HOST)"
        )


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
