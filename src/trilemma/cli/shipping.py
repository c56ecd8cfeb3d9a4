"""Images: built, listed, and what is in them."""

import sys
from collections.abc import Mapping
from pathlib import PurePosixPath

from trilemma.cli.escape import line
from trilemma.cli.failure import Exit, Stop
from trilemma.gateway.machinery import image as required
from trilemma.sandbox import images
from trilemma.sandbox.images.inventory import Item

_KINDS: tuple[images.Kind, ...] = ("base", "code")
_LINKS = 40
"""Symbolic links that are followed before they count as a loop, as the kernel does."""


def build(packages: list[str], *, refresh: bool) -> None:
    """Build both images, or the code image with Python packages; print ids, one a line."""
    if packages:
        print(images.with_packages(packages, _say, refresh=refresh))
        return
    for kind in _KINDS:
        print(f"{kind} {images.ensure(kind, _say, refresh=refresh)}")


def list_all() -> None:
    """The images of this version."""
    for kind in _KINDS:
        found = images.find(kind)
        print(f"{kind} {found or 'not built: trilemma image build'}")


def hash_file(path: str, image: str) -> None:
    """The sha256 of one file of an image.

    Raises:
        ImageMissing: the image is not there.
        Stop: it holds no such file.
    """
    if not path.startswith("/"):
        raise Stop(f"{path!r} is not an absolute path inside the image", Exit.USAGE)
    inventory = images.audit(images.ImageId(image_id(image)))
    found = resolve(inventory.items, path)
    if found is None or found.type != "file":
        raise Stop(f"the {image} image holds no file {path!r}")
    if found.path != path:
        _say(f"{path} is {line(found.path)}")
    print(found.content)


def resolve(items: Mapping[str, Item], path: str) -> Item | None:
    """The item that a path leads to, links followed within the image."""
    for _ in range(_LINKS):
        link = _first_link(items, path)
        if link is None:
            return items.get(path)
        target = PurePosixPath(link.path).parent / link.content
        path = _normal(str(target) + path.removeprefix(link.path))
    return None


def _first_link(items: Mapping[str, Item], path: str) -> Item | None:
    pure = PurePosixPath(path)
    for place in (*reversed(pure.parents), pure):
        item = items.get(str(place))
        if item is not None and item.type == "link":
            return item
    return None


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(path).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def image_id(name: str) -> str:
    """The id of one of the two images; any other name stays."""
    for kind in _KINDS:
        if name == kind:
            return required(kind)
    return name


def _say(text: str) -> None:
    print(f"trilemma: {text}", file=sys.stderr, flush=True)
