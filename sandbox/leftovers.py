"""Removing what a dead gateway left behind: containers, mounts, sockets, folders."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from trilemma.errors import EngineMissing, SandboxError

from .container import LABEL
from .engine import Engine, Inspect
from .mounts import mounted_below, unmount
from .runtime import alive, default_root, runtime_dirs

_INSTANCE = f"{LABEL}.instance"
_QUIET_ROUNDS = 3
"""A container whose creation was under way appears after its gateway's death: look again."""


def remove_containers(engine: Engine, instance: str) -> int:
    """Kill and remove every container and every volume of ``instance``; how many there were."""
    label = f"{_INSTANCE}={instance}"
    found = engine.containers(label)
    for container in found:
        engine.remove(str(container["Id"]))
    return len(found) + sum(_removed(engine, volume) for volume in engine.volumes(label))


def _removed(engine: Engine, volume: Inspect) -> bool:
    """Remove a volume; False where a container still has it, on its way out or not ours."""
    try:
        engine.remove_volume(str(volume["Name"]))
    except SandboxError:
        return False
    return True


def remove_until_quiet(
    engine: Engine, instance: str, pause: Callable[[float], object] = time.sleep
) -> None:
    """Remove containers of a gateway that died a moment ago, until no more appear."""
    quiet = 0
    while quiet < _QUIET_ROUNDS:
        quiet = 0 if remove_containers(engine, instance) else quiet + 1
        pause(0.2)


def remove_directory(path: Path) -> None:
    """Unmount everything below a runtime directory, then remove it. Twice does no harm."""
    for point in mounted_below(path):
        unmount(point)
    left = mounted_below(path)
    if left:
        # Removing now would delete through the mount, in somebody's folder.
        raise SandboxError(f"{str(left[0])!r} is still mounted; run trilemma clean again")
    shutil.rmtree(path, ignore_errors=True)


def sweep(root: Path | None = None, engine: Engine | None = None) -> int:
    """Remove what instances without a living gateway left; how many things that was.

    Without an engine there are no containers, but there may be directories.
    """
    removed = _sweep_containers(engine)
    for path, instance in tuple(runtime_dirs(root or default_root())):
        if not instance.alive():
            remove_directory(path)
            removed += 1
    return removed


def _sweep_containers(engine: Engine | None) -> int:
    try:
        using = engine or Engine()
    except EngineMissing:
        return 0
    try:
        dead = {
            name
            for each in (*using.containers(_INSTANCE), *using.volumes(_INSTANCE))
            if not alive(name := each["Labels"][_INSTANCE])
        }
        return sum(remove_containers(using, name) for name in dead)
    finally:
        if engine is None:
            using.close()
