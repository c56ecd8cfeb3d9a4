"""The volume that a workspace is carried into: a piece of memory with its limits and its flags."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trilemma.errors import SandboxError

from ..container import LABEL
from ..docker import DockerBackend
from ..idmap import SANDBOX_ID, Owner
from ..remapped import volume_owner
from ..spec import Mount
from .tree import MAX_ENTRIES

_NOWHERE = Path()


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume of the engine, which exists as long as a container has it mounted."""

    name: str
    mount: Mount
    """What a sandbox's spec takes."""

    @classmethod
    def make(cls, backend: DockerBackend, size: int, *, executable: bool) -> Self:
        """A new, empty volume.

        Raises:
            SandboxError: the engine makes none, or not the one that was asked for.
        """
        owner = volume_owner(backend.engine)
        options = {"type": "tmpfs", "device": "tmpfs", "o": _options(size, executable, owner)}
        name = make_volume(backend, options)
        # It holds a copy, so its user need not be the folder's: nobody's account is safest.
        mount = Mount(
            source=_NOWHERE,
            read_only=False,
            uid=SANDBOX_ID,
            gid=SANDBOX_ID,
            volume=name,
            volume_exec=executable,
        )
        return cls(name, mount)

    def remove(self, backend: DockerBackend) -> bool:
        """Remove it; False where a container still has it, or the engine is gone."""
        try:
            backend.engine.remove_volume(self.name)
        except SandboxError:
            return False
        return True


def make_volume(backend: DockerBackend, options: dict[str, str]) -> str:
    """A new volume of the engine, which the janitor knows; its name.

    Raises:
        SandboxError: the engine makes none, or not the one that was asked for.
    """
    name = f"trilemma-{secrets.token_hex(8)}"
    labels = {f"{LABEL}.instance": backend.instance}
    made = backend.engine.create_volume(name, options, labels)
    if made.get("Options") != options or made.get("Labels") != labels:
        raise SandboxError(f"the container engine has another volume called {name!r}")
    return name


def _options(size: int, executable: bool, owner: Owner) -> str:
    flags = "nosuid,nodev" if executable else "nosuid,nodev,noexec"
    access = f"uid={owner.uid},gid={owner.gid},mode=0700"
    return f"{flags},size={size},nr_inodes={MAX_ENTRIES},{access}"
