"""The other way to an image: the engine builds it from a Dockerfile of ours."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trilemma import errors

from .engine import ImageEngine, Progress
from .identity import SANDBOX, TOOLHOST, ImageId
from .rootfs.assemble import toolhost_files
from .rootfs.recipe import EPOCH, Kind

_IMAGES = SANDBOX / "images"


@dataclass(frozen=True, slots=True)
class Plan:
    """One build: a Dockerfile beside this module, and everything it is given."""

    dockerfile: str
    name: str
    identity: str
    files: Mapping[str, Path]
    """What the Dockerfile copies, by its path there."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    network: Literal["none", "host"] = "none"


def kind_plan(kind: Kind, name: str, identity: str, debian: str | None = None) -> Plan:
    """How to build one of the two images; ``debian`` replaces Debian's own image as a start."""
    files = {"src/trilemma/errors.py": Path(errors.__file__)}
    for file in (_IMAGES / "rootfs").glob("*.py"):
        files[f"sandbox/images/rootfs/{file.name}"] = file
    if kind == "base":
        for path, file in toolhost_files(TOOLHOST):
            files[f"sandbox/toolhost/{path}"] = file
    start = {"DEBIAN": debian} if debian else {}
    return Plan(f"Dockerfile.{kind}", name, identity, files, start, network="host")


def build_with_engine(client: ImageEngine, plan: Plan, progress: Progress) -> ImageId:
    """Have the engine build an image."""
    made = client.build(
        io.BytesIO(_context(plan)),
        progress,
        dockerfile=plan.dockerfile,
        tag=plan.name,
        buildargs={**plan.arguments, "IDENTITY": plan.identity},
        network_mode=plan.network,
    )
    # By the id that it gave: the name may lead elsewhere by now.
    return client.found(made, plan.identity)


def _context(plan: Plan) -> bytes:
    """The files a build is given, and nothing else of this machine."""
    files = {plan.dockerfile: _IMAGES / plan.dockerfile, **plan.files}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, file in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = file.stat().st_size, EPOCH, 0o644
            with file.open("rb") as content:
                archive.addfile(info, content)
    return buffer.getvalue()
