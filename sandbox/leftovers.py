"""Removing what a dead gateway left behind: containers, mounts, sockets, folders."""

import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from trilemma.errors import EngineMissing, SandboxError

from .container import LABEL
from .engine import Engine, Inspect
from .fate import Fate, fate
from .mounts import mounted_below, unmount
from .runtime import default_root, runtime_dirs

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


def sweep(
    root: Path | None = None, engine: Engine | None = None, *, gone: Collection[str] = ()
) -> int:
    """Remove what instances without a living gateway left; how many things that was.

    ``gone`` are those that a person says have no gateway any more. Without an engine there are no
    containers, but there may be directories.
    """
    removed = _sweep_engine(engine, gone)
    for path, instance in tuple(runtime_dirs(root or default_root())):
        if not instance.alive():
            remove_directory(path)
            removed += 1
    return removed


def unjudged(engine: Engine | None = None) -> tuple[str, ...]:
    """Instances of which something is in the engine and nobody here knows whether they run."""
    with _using(engine) as using:
        names = [] if using is None else _instances(using)
    return tuple(name for name in names if fate(name) is Fate.UNKNOWN)


def _sweep_engine(engine: Engine | None, gone: Collection[str]) -> int:
    with _using(engine) as using:
        if using is None:
            return 0
        names = _instances(using)
        dead = [name for name in names if fate(name) is Fate.GONE or name in gone]
        return sum(remove_containers(using, name) for name in dead)


def _instances(engine: Engine) -> list[str]:
    found = (*engine.containers(_INSTANCE), *engine.volumes(_INSTANCE))
    return sorted({str(each["Labels"][_INSTANCE]) for each in found})


@contextmanager
def _using(engine: Engine | None) -> Iterator[Engine | None]:
    """The engine that was given, or this machine's where one answers."""
    if engine is not None:
        yield engine
        return
    try:
        own = Engine()
    except EngineMissing:
        yield None
        return
    try:
        yield own
    finally:
        own.close()
