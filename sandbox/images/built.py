"""Which images were built here. A name is no proof: an archive that somebody loads may carry any.

For each engine and each name a small file beside what builds keep says the id that was built; an
id names its content. Where there is no such file, as in another user's home or after the folder was
removed, the image counts as not there and is built again: from the parts that are kept that takes
seconds. Nothing in an engine could stand in for the file, for nobody knows what Debian's part of an
image must hold before its packages are there.
"""

import hashlib
import os
import re
import stat
from pathlib import Path

from trilemma.errors import SandboxError

from .cache import cache_folder
from .engine import ImageEngine
from .identity import ImageId

_ID = re.compile(rb"sha256:[0-9a-f]{64}")


def find_built(client: ImageEngine, name: str, identity: str) -> ImageId | None:
    """The image that was last built under that name here, if the engine has it still.

    What lies under the name now does not matter.
    """
    image = _read(_place(client, name))
    return None if image is None else client.find(image, identity)


def remember(client: ImageEngine, name: str, image: ImageId) -> ImageId:
    """Note an image that was just built, for this user and this engine.

    Raises:
        SandboxError: what is noted there would not be believed.
    """
    place = _place(client, name)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(image)
    fresh.replace(place)
    if _read(place) != image:
        raise SandboxError(f"cannot keep the id of image {name!r} in {str(place)!r}")
    return image


def _place(client: ImageEngine, name: str) -> Path:
    # Two engines may hold different builds of one recipe; each keeps its newest.
    engine = hashlib.sha256(client.id().encode()).hexdigest()[:16]
    return cache_folder() / "built" / engine / name


def _read(place: Path) -> ImageId | None:
    """What is noted there, by this user or root; None for anything that others could have put."""
    try:
        opened = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(opened, "rb") as file:
        found = os.fstat(opened)
        ours = found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022
        if not ours or not stat.S_ISREG(found.st_mode):
            return None
        text = file.read(100)
    return ImageId(text.decode()) if _ID.fullmatch(text) else None
