"""Images of other people, made here: from Debian packages, files of a test, and a Dockerfile."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trilemma.sandbox.images import ImageId
from trilemma.sandbox.images.cache import locked
from trilemma.sandbox.images.rootfs.apt import Apt
from trilemma.sandbox.images.rootfs.layer import write_layer
from trilemma.sandbox.images.rootfs.recipe import CODE, Recipe
from trilemma.sandbox.images.rootfs.tree import Tree
from trilemma.sandbox.images.rootfs.unpack import unpack_all

BUSYBOX = "/bin/busybox"
DEBIAN = ("bash", "dash", "coreutils", "perl-base")


@dataclass(frozen=True)
class File:
    """One path of an image."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link: str = ""
    type: bytes = tarfile.REGTYPE
    capabilities: bytes = b""

    def header(self) -> tarfile.TarInfo:
        """As an archive names it."""
        info = tarfile.TarInfo(self.path.lstrip("/"))
        info.mode, info.size, info.linkname = self.mode, len(self.content), self.link
        info.type = tarfile.SYMTYPE if self.link else self.type
        info.devmajor, info.devminor = 1, 3
        if self.capabilities:
            text = self.capabilities.decode("utf-8", "surrogateescape")
            info.pax_headers = {"SCHILY.xattr.security.capability": text}
        return info


def debian(*packages: str) -> Path:
    """A layer of Debian packages and what they need, kept where images are built."""
    recipe = Recipe(packages, CODE.without, ("usr/share/doc/", "usr/share/man/"), None)
    name = f"test-foreign-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}"
    with locked() as folder:
        layer = folder / name / "layer.tar"
        if not layer.exists():
            shutil.rmtree(layer.parent, ignore_errors=True)
            layer.parent.mkdir()
            found = Apt(folder / "apt").fetch(recipe, print)
            tree = unpack_all(found, recipe, layer.parent / "tree")
            _merge(tree)
            write_layer(tree, layer.with_suffix(".new"))
            layer.with_suffix(".new").rename(layer)
        return layer


def content(layer: Path, path: str) -> bytes:
    """One file of a layer."""
    with tarfile.open(layer) as archive:
        file = archive.extractfile(path.lstrip("/"))
        assert file is not None
        return file.read()


@contextmanager
def image(
    *lines: str, layers: Sequence[Path] = (), files: Iterable[File] = (), start: str = "scratch"
) -> Iterator[ImageId]:
    """An image of layers, then files, then the lines of a Dockerfile. Gone afterwards."""
    with TemporaryDirectory(prefix="trilemma-test-") as work:
        context = Path(work)
        added = [*layers, _archive(context / "files", files)]
        for number, layer in enumerate(added):
            shutil.copyfile(layer, context / f"{number}.tar")
        adds = [f"ADD {number}.tar /" for number in range(len(added))]
        (context / "Dockerfile").write_text("\n".join((f"FROM {start}", *adds, *lines)))
        made = ImageId(docker("build", "--quiet", work).strip())
    try:
        yield made
    finally:
        docker("rmi", "--force", made)


def docker(*arguments: str) -> str:
    """The command line client's output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_itself(image: str, *arguments: str, options: Sequence[str] = ()) -> str:
    """What it prints when it is run as it is, read-only."""
    confined = ("--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp")
    return docker("run", *confined, *options, image, *arguments)


def _merge(tree: Tree) -> None:
    for name in ("bin", "lib", "lib64", "sbin"):
        tree.folder(f"usr/{name}")
        tree.link(name, f"usr/{name}")


def _archive(place: Path, files: Iterable[File]) -> Path:
    with tarfile.open(place, "w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            archive.addfile(file.header(), io.BytesIO(file.content))
    return place
