"""Everything on a machine that could be ours: looked at before and after, nothing may be new."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from trilemma.sandbox.engine import Engine

LABEL = "dev.trilemma.instance"
_CONTAINER = re.compile("[0-9a-f]{64}")
_CGROUPS = Path("/sys/fs/cgroup")


def everything(engine: Engine, place: Path) -> frozenset[str]:
    """What there is of gateways whose places lie below ``place``, each thing in words."""
    return frozenset(
        [
            *_containers(engine, place),
            *_mounts(place),
            *_sockets(place),
            *_processes(place),
        ]
    )


def abandoned_cgroups(engine: Engine) -> frozenset[str]:
    """Containers that are no more, and of which a control group is still there."""
    names = {Path(root).name for root, _, _ in os.walk(_CGROUPS)}
    containers = filter(_CONTAINER.fullmatch, names)
    return frozenset(each for each in containers if engine.inspect(each) is None)


def _containers(engine: Engine, place: Path) -> Iterator[str]:
    """Those of an instance whose directory lies there, or that nobody else's is."""
    for container in engine.containers(LABEL):
        mounts = (mount.get("Source", "") for mount in container.get("Mounts", ()))
        if any(source.startswith(str(place)) for source in mounts):
            yield f"container {container['Id'][:12]}"


def _mounts(place: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(place) in line:
            yield f"mount {line.split()[4]}"


def _sockets(place: Path) -> Iterator[str]:
    for line in Path("/proc/net/unix").read_text().splitlines():
        if str(place) in line:
            yield f"socket {line.split()[-1]}"


def _processes(place: Path) -> Iterator[str]:
    """Whose command line, folder or open files lie there."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            held = [os.readlink(fd) for fd in (process / "fd").iterdir()]
        except OSError:
            continue
        if str(place) in words or any(str(place) in path for path in held):
            yield f"process {words[:200]}"
