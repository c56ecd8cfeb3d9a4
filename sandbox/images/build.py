"""Finds or builds the images sandboxes are made of."""

from .archive import Layer, configuration, stream
from .cache import interpreter, locked, system
from .engine import Progress, engine, find_image, load
from .identity import TOOLHOST, ImageId, image_identity, tag
from .rootfs.assemble import toolhost_layer
from .rootfs.recipe import Kind

__all__ = ["Kind", "ensure", "find"]


def find(kind: Kind) -> ImageId | None:
    """The image of this version, if the engine has it."""
    identity = image_identity(kind)
    with engine() as client:
        return find_image(client, tag(kind, identity), identity)


def ensure(kind: Kind, progress: Progress = print, *, refresh: bool = False) -> ImageId:
    """The image of this version, built if the engine lacks it.

    Args:
        kind: ``base`` holds no shell and one interpreter; ``code`` holds what a coder needs.
        progress: is told what is being done.
        refresh: build again, from the packages of today.

    Raises:
        EngineMissing: no container engine answers.
        SandboxError: the image cannot be built; the message says why.

    """
    found = None if refresh else find(kind)
    return found or _build(kind, progress, refresh=refresh)


def _build(kind: Kind, progress: Progress, *, refresh: bool) -> ImageId:
    identity = image_identity(kind)
    name = tag(kind, identity)
    with locked() as folder, engine() as client:
        found = None if refresh else find_image(client, name, identity)
        if found:
            return found
        progress(f"building image {name}")
        layers = [system(kind, folder, progress, refresh=refresh)]
        target = folder / f"{kind}-toolhost.tar"
        digest = toolhost_layer(TOOLHOST, interpreter(kind, folder), folder / "toolhost", target)
        layers.append(Layer(target, digest))
        archive = stream(layers, configuration(layers, identity), name)
        return load(client, archive, name, identity)
