"""Users of sandboxes, as an engine with ``userns-remap`` calls them on its host.

The engine makes volumes there, and knows none of the numbers that count inside its containers.
"""

import re
from pathlib import PurePosixPath

from trilemma.errors import SandboxError

from .confined import REMAPPED, security
from .engine import Engine, Inspect
from .idmap import SANDBOX_ID, Owner

_ROOT = re.compile(r"(\d{1,10})\.(\d{1,10})")
"""Such an engine keeps everything in a folder that is called after its containers' root."""


def volume_owner(engine: Engine) -> Owner:
    """Who owns a volume that belongs to the sandbox's user inside.

    Raises:
        SandboxError: the engine does not say.

    """
    return owner(engine.info())


def owner(info: Inspect) -> Owner:
    """The same, out of what the engine says of itself."""
    if REMAPPED not in security(info):
        return Owner(SANDBOX_ID, SANDBOX_ID)
    place = str(info.get("DockerRootDir"))
    root = _ROOT.fullmatch(PurePosixPath(place).name)
    if root is None:
        raise SandboxError(
            f"the container engine maps users (userns-remap), and its folder {place!r} does not "
            "say to which; use another engine (DOCKER_HOST)"
        )
    uid, gid = map(int, root.groups())
    # A range that is too short or in pieces gives the volume to somebody else: then the sandbox
    # may not write to it, and is refused for that.
    return Owner(uid + SANDBOX_ID, gid + SANDBOX_ID)
