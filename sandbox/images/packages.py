"""The code image with Python packages: ``trilemma image build --with numpy``."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .build import ensure
from .built import find_built, remember
from .cache import locked
from .dockerfile import Plan, build_with_engine
from .engine import Progress, engine
from .identity import ImageId, image_identity, tag
from .rootfs.layer import write_layer
from .rootfs.tree import Tree
from .site import add_wheel
from .wheels import checked, fetch, resolve


def with_packages(
    packages: Sequence[str], progress: Progress = print, *, refresh: bool = False
) -> ImageId:
    """The code image with these Python packages and all they need, built if it is not there.

    The versions of the first build are kept, with their hashes, until ``refresh``.

    Args:
        packages: names with optional versions; wheels only, so no package's code runs here.
        progress: is told what is being done.
        refresh: look for newer versions.

    Raises:
        SpecError: something is not a package name.
        SandboxError: a package has no wheel for the image, or cannot be had.

    """
    wanted = checked(packages)
    code = ensure("code", progress)
    with locked() as folder, engine() as client:
        lock = _lock(wanted, folder, progress, refresh=refresh)
        identity = _hash(image_identity("code") + lock.read_text())
        name = tag("packages", identity)
        found = find_built(client, name, identity)
        if found:
            return found
        with tempfile.TemporaryDirectory(dir=folder) as work:
            files = {"packages.tar": _layer(lock, Path(work), progress)}
            progress(f"building image {name}")
            plan = Plan("Dockerfile.packages", name, identity, files, {"CODE": code})
            return remember(client, name, build_with_engine(client, plan, lambda _: None))


def _lock(wanted: list[str], folder: Path, progress: Progress, *, refresh: bool) -> Path:
    """The pinned versions of a list of packages, as they were first resolved."""
    lock = folder / f"packages-{_hash(' '.join(wanted))[:16]}.txt"
    if refresh or not lock.exists():
        progress(f"resolving {' '.join(wanted)}")
        text = resolve(wanted)
        fresh = lock.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(lock)
    return lock


def _layer(lock: Path, work: Path, progress: Progress) -> Path:
    wheels = fetch(lock, work / "wheels")
    progress(f"unpacking {len(wheels)} wheels")
    tree = Tree(work / "tree")
    for wheel in wheels:
        add_wheel(tree, wheel)
    write_layer(tree, work / "packages.tar")
    return work / "packages.tar"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
