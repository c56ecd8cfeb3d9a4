"""Images of other people, named so that nobody can change what is behind the name."""

import re

from trilemma.errors import SpecError

from .engine import engine
from .identity import ImageId

_PINNED = re.compile(r"([^@\s]+@)?sha256:[0-9a-f]{64}")


def pinned(name: str) -> ImageId:
    """The id of the image behind ``sha256:...`` or ``NAME@sha256:...``.

    Raises:
        SpecError: the name holds no digest.
        ImageMissing: it is not on this machine; nothing is pulled.
    """
    if not _PINNED.fullmatch(name):
        raise SpecError(
            f"image {name!r} is not pinned: what a tag means can change; name it by its digest, "
            f"NAME@sha256:... or the id that 'trilemma image inspect {name}' prints"
        )
    with engine() as client:
        return ImageId(client.inspect(name)["Id"])
