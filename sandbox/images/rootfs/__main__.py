"""``python -m trilemma.sandbox.images.rootfs KIND TOOLHOST TARGET``: used by the Dockerfiles."""

import sys
from pathlib import Path

from trilemma.errors import SpecError

from .assemble import system_layer, toolhost_layer
from .recipe import TREE, Kind


def main(kind: str, toolhost: str, target: str) -> None:
    """Write ``system.tar``, and for the base image ``toolhost.tar``, to the folder ``target``."""
    known: dict[str, Kind] = {"base": "base", "code": "code"}
    if kind not in known:
        raise SpecError(f"unknown image {kind!r}; there are {', '.join(known)}")
    work = Path(target)
    work.mkdir(parents=True, exist_ok=True)
    system_layer(known[kind], work / kind, work / "system.tar", print)
    if kind == "base":
        interpreter = work / kind / "tree" / TREE
        toolhost_layer(Path(toolhost), interpreter, work / "toolhost", work / "toolhost.tar")


if __name__ == "__main__":
    main(*sys.argv[1:])
