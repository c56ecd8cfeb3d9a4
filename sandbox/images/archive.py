"""An image as the archive ``docker load`` reads, written by ourselves.

The engine's id of an image is the hash of its configuration. Ours holds no date and no host
name, so the same layers give the same id on every machine.
"""

import hashlib
import json
import platform
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .identity import LABEL
from .rootfs.recipe import EPOCH

_CREATED = "2023-11-14T22:13:20Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: a tar file and its digest."""

    file: Path
    digest: str


def configuration(layers: Sequence[Layer], identity: str) -> bytes:
    """The image's configuration: no entry point, no volume, nothing that runs by itself."""
    machine = platform.machine()
    config: dict[str, Any] = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "config": {
            "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
            "Labels": {LABEL: identity},
            "User": "64101:64101",
            "WorkingDir": "/",
        },
        "created": _CREATED,
        "history": [{"created": _CREATED, "created_by": "trilemma"} for _ in layers],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    return json.dumps(config, sort_keys=True, separators=(",", ":")).encode()


def stream(layers: Sequence[Layer], config: bytes, name: str) -> Iterator[bytes]:
    """The archive, piece by piece."""
    identity = hashlib.sha256(config).hexdigest()
    paths = [f"{layer.digest.removeprefix('sha256:')}/layer.tar" for layer in layers]
    manifest = [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": paths}]
    yield from _member(f"{identity}.json", config)
    for layer, path in zip(layers, paths, strict=True):
        yield from _file_member(path, layer.file)
    yield from _member("manifest.json", json.dumps(manifest).encode())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(path: str, content: bytes) -> Iterator[bytes]:
    yield _header(path, len(content))
    yield content
    yield _padding(len(content))


def _file_member(path: str, file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    yield _header(path, size)
    with file.open("rb") as content:
        yield from iter(lambda: content.read(_BLOCK), b"")
    yield _padding(size)


def _header(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, 0o644, EPOCH
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
