"""Where builds keep what is dear to make again: downloaded packages and system layers."""

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trilemma.errors import SandboxError

from .archive import Layer
from .engine import Progress
from .identity import system_identity
from .rootfs.assemble import system_layer
from .rootfs.recipe import TREE, Kind


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/trilemma/images``, which nobody else may write to.

    Raises:
        SandboxError: others could: images would be built of what they put there.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    folder = root / "trilemma" / "images"
    for place in (folder.parent, folder):
        _refuse_others(place)
    return folder


def _refuse_others(place: Path) -> None:
    # Made first where it can be, for whoever may write above it could do so after a look.
    with suppress(OSError):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = place.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            if found.st_mode & 0o077:
                place.chmod(0o700)
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise SandboxError(f"cannot use {str(place)!r}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise SandboxError(
            f"{str(place)!r} is not a folder of yours alone, and images are built of what lies "
            "there: remove it, or name another place (XDG_CACHE_HOME)"
        )


@contextmanager
def locked() -> Iterator[Path]:
    """The cache folder, held by one build at a time; a full disk there is one clear line."""
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    except OSError as error:
        raise SandboxError(f"cannot build an image in {str(folder)!r}: {error}") from error


def system(kind: Kind, folder: Path, progress: Progress, *, refresh: bool = False) -> Layer:
    """Debian's layer of an image: from the cache, or built into it."""
    place = folder / f"{kind}-{system_identity(kind)[:16]}"
    record, file = place / "layer.json", place / "layer.tar"
    if record.exists() and not refresh:
        return Layer(file, json.loads(record.read_text())["digest"])
    record.unlink(missing_ok=True)
    place.mkdir(exist_ok=True)
    layer = Layer(file, system_layer(kind, place, file, progress))
    record.write_text(json.dumps({"digest": layer.digest}))
    _forget_others(kind, place)
    return layer


def interpreter(folder: Path) -> Path:
    """The unpacked system of the base image; its Python compiles the tool host."""
    return folder / f"base-{system_identity('base')[:16]}" / "tree" / TREE


def _forget_others(kind: Kind, kept: Path) -> None:
    """Remove what earlier recipes left."""
    for place in kept.parent.glob(f"{kind}-*"):
        if place != kept:
            shutil.rmtree(place, ignore_errors=True)
