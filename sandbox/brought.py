"""What an image's configuration would add to a container by itself, and what is made of it.

Entry point, command, user, folder and health check are replaced in every container, triggers act
in builds alone. Variables are named here to be taken out; a volume is refused, for it would be a
place to write to and to execute from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Brought:
    """The parts of an image's configuration that the Engine cannot be told to leave out."""

    variables: tuple[str, ...] = ()
    """Names alone: a name without a value takes the image's variable out."""
    ports: tuple[str, ...] = ()
    """Of no meaning without a network, but reported of every container."""


NOTHING = Brought()


def brought(image: Mapping[str, Any]) -> Brought:
    """Read it from what the Engine says about the image."""
    config = image.get("Config") or {}
    names = {str(entry).partition("=")[0] for entry in config.get("Env") or ()}
    return Brought(tuple(sorted(names)), tuple(sorted(config.get("ExposedPorts") or ())))


def unusable(image: Mapping[str, Any]) -> Iterator[str]:
    """Why no sandbox can be made of an image with this configuration."""
    config = image.get("Config") or {}
    for volume in sorted(config.get("Volumes") or ()):
        yield f"it declares the volume {volume!r}, which every sandbox could write to and execute"
    if "" in brought(image).variables:
        yield "it sets a variable without a name, which cannot be taken out"
    if image.get("Os") != "linux":
        yield f"it is for {image.get('Os')!r}, not for Linux"
