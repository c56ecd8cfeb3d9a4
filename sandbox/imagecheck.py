"""Whether an image may become a sandbox: asked at first use, before anything of it can run."""

import threading

from trilemma.errors import SandboxRefused

from .brought import Brought
from .images import examine


class ImageCheck:
    """Looks at each image once: its id names its content. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looking: dict[str, threading.Lock] = {}
        self._known: dict[str, Brought] = {}

    def check(self, image: str) -> Brought:
        """What the image's configuration brings along.

        Raises:
            ImageMissing: it is not on this machine.
            SandboxRefused: its configuration or its files cannot be in a sandbox.

        """
        with self._lock:
            looking = self._looking.setdefault(image, threading.Lock())
        # A large image takes minutes, and nobody who wants another waits for it.
        with looking:
            if image not in self._known:
                self._known[image] = _look(image)
            return self._known[image]


def _look(image: str) -> Brought:
    found = examine(image)
    if found.id != image:
        raise SandboxRefused(f"image {image!r} cannot be used: its id is {found.id!r}; name that")
    for reason in found.unusable:
        raise SandboxRefused(f"image {image!r} cannot be used: {reason}")
    return found.brought
