"""Whether this gateway can mount folders for its sandboxes, or has to carry them; and why."""

import os

from ..confined import REMAPPED, ROOTLESS, security
from ..engine import Engine
from ..maymount import may_mount
from ..transport import runs_here


def why_carried(engine: Engine) -> str:
    """What keeps this gateway from mounting folders, in a few words; empty where nothing does.

    Raises:
        SandboxError: the engine does not say what it is.
    """
    if os.geteuid() != 0:
        return f"mounting takes root, and this gateway runs as user {os.geteuid()}"
    if not may_mount():
        return "mounting takes CAP_SYS_ADMIN, which this gateway does not have"
    if not engine.address.startswith("unix://"):
        return f"the engine at {engine.address} does not see this host's folders"
    info = engine.info()
    if str(info.get("OperatingSystem")) == "Docker Desktop":
        return "Docker Desktop runs its containers on a machine of its own"
    if ROOTLESS in security(info):
        return "the engine runs without root, in a mount namespace of its own"
    if REMAPPED in security(info):
        return "the engine gives the users of its containers other numbers (userns-remap)"
    if not runs_here(info):
        return f"the engine at {engine.address} runs in another system than this gateway"
    return ""
