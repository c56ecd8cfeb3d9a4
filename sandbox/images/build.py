"""Finds or builds the images sandboxes are made of."""

import shutil
from pathlib import Path
from typing import get_args

from trilemma.errors import SandboxError

from .archive import Layer, configuration, stream
from .built import find_built, remember
from .cache import interpreter, locked, system
from .dockerfile import build_with_engine, kind_plan
from .engine import ImageEngine, Progress, engine
from .identity import LABEL, TOOLHOST, ImageId, image_identity, tag
from .rootfs.assemble import toolhost_layer
from .rootfs.recipe import Kind
from .rootfs.sources import debian_sources

_TOOLS = ("apt-get", "apt-config", "dpkg-deb")


def find(kind: Kind) -> ImageId | None:
    """The image of this version, if it was built here and the engine has it."""
    identity = image_identity(kind)
    with engine() as client:
        return find_built(client, tag(kind, identity), identity)


def ensure(kind: Kind, progress: Progress = print, *, refresh: bool = False) -> ImageId:
    """The image of this version, built if the engine lacks it.

    Args:
        kind: ``base`` holds the tool host and all it needs; ``code`` what a coder needs.
        progress: is told what is being done.
        refresh: build again, from the packages of today.

    Raises:
        EngineMissing: no container engine answers.
        SandboxError: the image cannot be built; the message says why.

    """
    found = None if refresh else find(kind)
    return found or _build(kind, progress, refresh=refresh)


def remove_old() -> int:
    """Remove images of other versions, and of package lists, that no container uses."""
    kept = [find(kind) for kind in get_args(Kind)]
    with engine() as client:
        return client.remove(label=LABEL, kept=[image for image in kept if image])


def _build(kind: Kind, progress: Progress, *, refresh: bool) -> ImageId:
    identity = image_identity(kind)
    name = tag(kind, identity)
    with locked() as folder, engine() as client:
        found = None if refresh else find_built(client, name, identity)
        if found:
            return found
        progress(f"building image {name}")
        if has_debian_tools():
            layers = image_layers(kind, folder, progress, refresh=refresh)
            if image_identity(kind) != identity:
                raise SandboxError("the tool host's source changed while it was baked; try again")
            made = _load(client, layers, name, identity)
        else:
            made = build_with_engine(client, kind_plan(kind, name, identity), progress)
        return remember(client, name, made)


def has_debian_tools() -> bool:
    """Whether this host can put Debian packages together itself."""
    if not all(map(shutil.which, _TOOLS)):
        return False
    try:
        return bool(debian_sources())
    except SandboxError:
        return False


def image_layers(
    kind: Kind, folder: Path, progress: Progress, *, refresh: bool = False
) -> list[Layer]:
    """An image's layers, as files below the cache folder: the tool host is one of its own."""
    below = system(kind, folder, progress, refresh=refresh)
    if kind != "base":
        return [below]
    target = folder / "toolhost.tar"
    digest = toolhost_layer(TOOLHOST, interpreter(folder), folder / "toolhost", target)
    return [below, Layer(target, digest)]


def _load(client: ImageEngine, layers: list[Layer], name: str, identity: str) -> ImageId:
    client.load(stream(layers, configuration(layers, identity), name))
    image = client.found(name, identity)
    # Asked for by its id, which names one image, whatever is loaded meanwhile.
    if client.inspect(image)["RootFS"].get("Layers") != [layer.digest for layer in layers]:
        raise SandboxError(f"image {name!r} is not the one that was just loaded; try again")
    return image
