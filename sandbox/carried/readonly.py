"""A carried workspace for those who only read: its volume once more, mounted read-only."""

from dataclasses import replace

from trilemma.errors import SandboxError

from ..container import LABEL
from ..docker import DockerBackend
from .volume import Volume, make_volume


def read_only(volume: Volume, backend: DockerBackend, *, executable: bool) -> Volume:
    """Another volume that is a mount of this one: all flags are given in one step.

    A runtime that had to set read-only for one container would drop the others.

    Raises:
        SandboxError: the engine makes none, or not the one that was asked for.
    """
    flags = "bind,ro,nosuid,nodev" if executable else "bind,ro,nosuid,nodev,noexec"
    options = {"type": "none", "device": _place(volume, backend), "o": flags}
    name = make_volume(backend, options)
    mount = replace(volume.mount, volume=name, read_only=True, volume_exec=executable)
    return Volume(name, mount)


def _place(volume: Volume, backend: DockerBackend) -> str:
    """Where the engine has the volume, in its own file system."""
    for found in backend.engine.volumes(f"{LABEL}.instance={backend.instance}"):
        if found.get("Name") == volume.name and found.get("Mountpoint"):
            return str(found["Mountpoint"])
    raise SandboxError(f"the container engine lost the volume {volume.name!r} of a workspace")
