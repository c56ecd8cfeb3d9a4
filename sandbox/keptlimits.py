"""Whether the engine keeps the limits that it is given.

One that cannot takes them all the same, and reports them as kept: a sandbox on it could fill the
machine's memory, or its table of processes.
"""

import functools

from trilemma.errors import SandboxError

from .confined import ROOTLESS, security
from .engine import Engine, Inspect

_LIMITS = {
    "MemoryLimit": "memory",
    "PidsLimit": "processes",
    "CpuCfsQuota": "processor time",
}
"""As the engine calls them."""


def unkept(info: Inspect) -> str:
    """Which limits an engine that says this of itself does not keep, and the way on; or nothing."""
    lacking = [limit for name, limit in _LIMITS.items() if not info.get(name)]
    if not lacking:
        return ""
    text = f"the container engine keeps no limit of {', '.join(lacking)}"
    if ROOTLESS not in security(info):
        return f"{text}; its kernel needs the control groups memory, pids and cpu"
    return (
        f"{text}, for it runs rootless without these control groups: start the machine with "
        "cgroup v2 and let systemd delegate them (Delegate=cpu memory pids for user@.service), "
        "or use an engine that root runs (DOCKER_HOST)"
    )


def refuse_unlimited(engine: Engine) -> None:
    """Refuse an engine that keeps no limits.

    Raises:
        SandboxError: which, and what to do.

    """
    if text := _unkept(engine):
        raise SandboxError(text)


@functools.lru_cache(maxsize=8)
def _unkept(engine: Engine) -> str:
    return unkept(engine.info())
