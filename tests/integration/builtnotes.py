"""What another user would have noted if they had built this user's images."""

import os
import shutil
from pathlib import Path

from trilemma.sandbox.images.cache import cache_folder


def give_built(cache: Path, uid: int) -> None:
    """Write it into the cache folder of the user with that number."""
    target = cache / "trilemma/images/built"
    shutil.copytree(cache_folder() / "built", target)
    for path in (target, *target.parents[: len(target.relative_to(cache).parts)]):
        os.chown(path, uid, uid)
    for path in target.rglob("*"):
        os.chown(path, uid, uid)
