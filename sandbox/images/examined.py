"""An image as a whole: what it brings along, what it holds, and whether it may be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..brought import Brought, brought, unusable
from .contents import Contents, contents
from .engine import engine
from .identity import ImageId

_REPLACED = ("Entrypoint", "Cmd", "User", "WorkingDir", "Healthcheck", "OnBuild", "StopSignal")


@dataclass(frozen=True, slots=True)
class Examined:
    """What there is to say about an image."""

    id: ImageId
    brought: Brought
    replaced: Mapping[str, Any]
    """What every sandbox replaces or switches off, as the image has it."""
    contents: Contents
    unusable: tuple[str, ...]
    """Why no sandbox is made of it; empty for one that may be used."""


def examine(name: str) -> Examined:
    """Look at an image by any of its names.

    Raises:
        ImageMissing: it is not on this machine; nothing is pulled.
        SandboxError: it cannot be read.
    """
    with engine() as client:
        found = client.inspect(name)
    held = contents(ImageId(found["Id"]))
    config = found.get("Config") or {}
    return Examined(
        id=ImageId(found["Id"]),
        brought=brought(found),
        replaced={field: config[field] for field in _REPLACED if config.get(field)},
        contents=held,
        unusable=(*unusable(found), *held.unusable()),
    )
