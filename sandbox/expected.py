"""What the Engine must say about a container: the list, as a list."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .container import MASKED_PATHS, READ_ONLY_PATHS, Settings
from .engine import Inspect
from .seccomp import profile


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a container that is not as it must be."""

    what: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.what} is {_short(self.found)}, not {_short(self.expected)}"


def expected_config(settings: Settings) -> Mapping[str, object]:
    """Fields outside ``HostConfig``. None stands for everything empty."""
    return {
        "Image": settings.spec.image,
        "Path": settings.entrypoint[0],
        "Args": list(settings.entrypoint[1:]),
        "Config.User": settings.user,
        "Config.Env": settings.environment,
        "Config.Entrypoint": list(settings.entrypoint),
        "Config.Cmd": None,
        "Config.WorkingDir": "/",
        "Config.Volumes": None,
        "Config.OnBuild": None,
        # The Engine fills in the image's interval beside it, which then says nothing.
        "Config.Healthcheck.Test": ["NONE"],
        "Config.ExposedPorts": {port: {} for port in settings.brought.ports},
        "Config.Tty": None,
        "Config.OpenStdin": settings.stdio,
        "Config.StdinOnce": settings.stdio,
        "ExecIDs": None,
    }


def expected_host_config(settings: Settings) -> Mapping[str, object]:
    """Fields of ``HostConfig``. Every field that is not named here must be empty."""
    limits = settings.spec.limits
    return {
        "AutoRemove": True,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "CgroupnsMode": "private",
        "CpuPeriod": settings.cpu_period,
        "CpuQuota": settings.cpu_quota,
        "Devices": None,
        "IpcMode": "private",
        "LogConfig": {"Type": "none", "Config": {}},
        "MaskedPaths": list(MASKED_PATHS),
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "Mounts": settings.mounts,
        "NetworkMode": "none",
        "PidMode": None,
        "PidsLimit": limits.processes,
        "Privileged": None,
        "ReadonlyPaths": list(READ_ONLY_PATHS),
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "no"},
        "Runtime": settings.runtime,
        "ShmSize": settings.shm,
        "Tmpfs": {"/tmp": settings.tmpfs},
        "Ulimits": settings.ulimits,
    }


_APART = ("SecurityOpt", "OomScoreAdj")
"""Fields of ``HostConfig`` that have a rule of their own."""


def compare(inspect: Inspect, settings: Settings) -> Iterator[Finding]:
    """Everything in which the Engine's container differs from what was asked."""
    for path, expected in expected_config(settings).items():
        yield from _differs(path, expected, _sorted_env(path, _at(inspect, path)))
    host = inspect.get("HostConfig") or {}
    wanted = expected_host_config(settings)
    for name in sorted(wanted.keys() | host.keys()):
        if name not in _APART:
            yield from _differs(f"HostConfig.{name}", wanted.get(name), host.get(name))
    yield from _security(host.get("SecurityOpt") or [], settings)
    yield from _killed_first(host.get("OomScoreAdj"))
    yield from _networks(inspect)
    yield from _label(inspect, settings)


def _security(options: list[str], settings: Settings) -> Iterator[Finding]:
    if options[:1] != ["no-new-privileges:true"] or len(options) != 2:
        names = [option.partition("=")[0] for option in options]
        yield Finding("HostConfig.SecurityOpt", ["no-new-privileges:true", "seccomp"], names)
        return
    name, _, text = options[1].partition("=")
    if name != "seccomp" or _parsed(text) != profile(settings.spec.exec):
        yield Finding("the seccomp profile", "ours", text)


def _killed_first(score: object) -> Iterator[Finding]:
    """A rootless engine raises it. Where memory is short, a sandbox then only ends the sooner."""
    if score is not None and not (type(score) is int and score >= 0):
        yield Finding("HostConfig.OomScoreAdj", "0 or more", score)


def _networks(inspect: Inspect) -> Iterator[Finding]:
    networks = _at(inspect, "NetworkSettings.Networks") or {}
    if set(networks) - {"none"}:
        yield Finding("NetworkSettings.Networks", "none", sorted(networks))


def _label(inspect: Inspect, settings: Settings) -> Iterator[Finding]:
    labels = _at(inspect, "Config.Labels") or {}
    for name, value in settings.labels.items():
        yield from _differs(f"label {name}", value or None, labels.get(name))


def _differs(what: str, expected: object, found: object) -> Iterator[Finding]:
    if _stripped(expected) != _stripped(found):
        yield Finding(what, expected, found)


def _stripped(value: object) -> object:
    """Engines write nothing as null, "", [], {}, 0 or false, or leave it out: None is all of it.

    Inside a structure an empty one counts: ``{"/data": {}}`` is a volume.
    """
    if isinstance(value, dict):
        kept = {name: _inner(field) for name, field in value.items()}
        return {name: field for name, field in kept.items() if field is not None} or None
    if isinstance(value, list):
        items = [_inner(item) for item in value]
        return items if any(item is not None for item in items) else None
    return value or None


def _inner(value: object) -> object:
    return {} if value == {} else _stripped(value)


def _at(inspect: Inspect, path: str) -> Any:
    found: Any = inspect
    for name in path.split("."):
        found = (found or {}).get(name)
    return found


def _sorted_env(path: str, found: Any) -> Any:
    return sorted(found or []) if path == "Config.Env" else found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _short(value: object) -> str:
    if isinstance(value, frozenset | set | tuple):
        value = sorted(map(str, value))
    text = "nothing" if value in (None, [], "") else repr(value)
    return text if len(text) < 120 else text[:120] + "..."
