"""What an image is, before it is built: a hash of everything of ours that goes into it."""

import hashlib
from pathlib import Path
from typing import Literal, NewType

from .rootfs.assemble import toolhost_files
from .rootfs.recipe import Kind

ImageId = NewType("ImageId", str)
"""The engine's id of an image on this machine, ``sha256:...``."""

SANDBOX = Path(__file__).resolve().parent.parent
TOOLHOST = SANDBOX / "toolhost"
_ROOTFS = SANDBOX / "images" / "rootfs"
_CONFIG_VERSION = "2"
"""Raised when the image's configuration (archive.py, the Dockerfiles) changes."""

LABEL = "dev.trilemma.image"
"""The label that carries an image's identity."""

STAGE = "dev.trilemma.stage"
"""The label of what a build leaves behind (the Dockerfiles' first stage)."""


def system_identity(kind: Kind) -> str:
    """Identity of Debian's part: the recipe and the code that follows it."""
    sources = [(file.name, file) for file in sorted(_ROOTFS.glob("*.py"))]
    return _hash(kind, sources)


def image_identity(kind: Kind) -> str:
    """Identity of a whole image: Debian's part, the configuration, the tool host's source."""
    ours = toolhost_files(TOOLHOST) if kind == "base" else []
    return _hash(system_identity(kind) + _CONFIG_VERSION, ours)


def tag(kind: Kind | Literal["packages"], identity: str) -> str:
    """The name under which the engine keeps an image. Sandboxes use its id, never this."""
    return f"trilemma-{kind}:{identity[:16]}"


def _hash(start: str, files: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256(start.encode())
    for name, file in files:
        content = file.read_bytes()
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
