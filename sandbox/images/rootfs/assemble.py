"""The layers of the images: Debian's files, and in the base image the tool host."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from .apt import Apt, Package
from .bytecode import add_bytecode
from .layer import write_layer
from .recipe import TREE, Kind, recipe
from .skeleton import add_skeleton
from .tree import Tree
from .unpack import unpack_all

TOOLHOST = f"{TREE}/toolhost"
PACKAGES = f"{TREE}/packages.json"


def system_layer(kind: Kind, work: Path, target: Path, progress: Callable[[str], None]) -> str:
    """Write Debian's part of an image to ``target``; its files stay in ``work/tree``."""
    wanted = recipe(kind)
    packages = Apt(work.parent / "apt").fetch(wanted, progress)
    progress(f"unpacking {len(packages)} packages")
    shutil.rmtree(work / "tree", ignore_errors=True)
    tree = unpack_all(packages, wanted, work / "tree" / wanted.below)
    if wanted.executables is not None:
        tree.keep_executable(wanted.executables)
        tree.drop_dangling("usr/bin/")
    if wanted.below:
        _add_start(tree)
        tree = tree.below(wanted.below)
    add_skeleton(tree, wanted)
    tree.add(PACKAGES, _bill(packages))
    tree.make_links()
    system = tree.root / wanted.below
    for program in (system / "usr/bin/python3.11", *system.glob("usr/lib/*/ld-linux-*")):
        program.chmod(0o755)
    progress("compiling the standard library")
    add_bytecode(tree, f"{wanted.below}/usr/lib/python3*".lstrip("/"), system)
    return write_layer(tree, target)


def _add_start(tree: Tree) -> None:
    """What the tool host is started by: names that are the same on every architecture."""
    loader = tree.files("usr/lib/*/ld-linux-*.so.*")[0]
    tree.link("ld.so", loader)
    tree.link("lib", loader.rpartition("/")[0])
    # Python takes the first such file upwards from its program for its library: in an image that
    # brings one, /lib/python311.zip would win over the folder that lies beside this one.
    tree.add("usr/lib/python311.zip", b"")


def toolhost_layer(source: Path, interpreter: Path, work: Path, target: Path) -> str:
    """Write the tool host's part of an image to ``target``."""
    shutil.rmtree(work, ignore_errors=True)
    tree = Tree(work)
    for path, file in toolhost_files(source):
        tree.add(f"{TOOLHOST}/{path}", file.read_bytes())
    add_bytecode(tree, f"{TOOLHOST}/*", interpreter)
    return write_layer(tree, target)


def toolhost_files(source: Path) -> list[tuple[str, Path]]:
    """The tool host's files by their path, in order, without caches."""
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    return [
        (file.relative_to(source).as_posix(), file)
        for file in files
        if "__pycache__" not in file.parts
    ]


def _bill(packages: list[Package]) -> bytes:
    """Which packages an image is made of: names, versions, hashes."""
    lines = [
        {"name": each.name, "version": each.version, "sha256": each.sha256} for each in packages
    ]
    return json.dumps(lines, indent=1).encode() + b"\n"
