"""Whether this gateway can mount folders for its sandboxes, or has to carry them; and why."""

import os
from pathlib import Path

from ..engine import Engine
from ..transport import runs_here

_SYS_ADMIN = 21
"""The capability that mounting takes."""


def why_carried(engine: Engine) -> str:
    """What keeps this gateway from mounting folders, in a few words; empty where nothing does.

    Raises:
        SandboxError: the engine does not say what it is.
    """
    if os.geteuid() != 0:
        return f"mounting takes root, and this gateway runs as user {os.geteuid()}"
    if not _may_mount():
        return "mounting takes CAP_SYS_ADMIN, which this gateway does not have"
    if not engine.address.startswith("unix://"):
        return f"the engine at {engine.address} does not see this host's folders"
    info = engine.info()
    if str(info.get("OperatingSystem")) == "Docker Desktop":
        return "Docker Desktop runs its containers on a machine of its own"
    if any("name=rootless" in str(option) for option in info.get("SecurityOptions") or ()):
        return "the engine runs without root, in a mount namespace of its own"
    if not runs_here(info):
        return f"the engine at {engine.address} runs in another system than this gateway"
    return ""


def _may_mount() -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> _SYS_ADMIN & 1)
    return False
