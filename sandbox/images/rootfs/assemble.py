"""The two layers of an image: Debian's files, and the tool host."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from .apt import Apt, Package
from .bytecode import add_bytecode
from .layer import write_layer
from .recipe import Kind, recipe
from .skeleton import add_skeleton
from .tree import Tree
from .unpack import unpack_all

TOOLHOST = "opt/trilemma/toolhost"
PACKAGES = "opt/trilemma/packages.json"


def system_layer(kind: Kind, work: Path, target: Path, progress: Callable[[str], None]) -> str:
    """Write Debian's part of an image to ``target``; its files stay in ``work/tree``."""
    wanted = recipe(kind)
    packages = Apt(work.parent / "apt").fetch(wanted, progress)
    progress(f"unpacking {len(packages)} packages")
    shutil.rmtree(work / "tree", ignore_errors=True)
    tree = unpack_all(packages, wanted, work / "tree")
    if wanted.executables is not None:
        tree.keep_executable(wanted.executables)
        tree.drop_dangling("usr/bin/")
    add_skeleton(tree, wanted)
    tree.add(PACKAGES, _bill(packages))
    tree.make_links()
    for program in tree.files("usr/bin/python3.11") + tree.files("usr/lib/*/ld-linux-*"):
        (tree.root / program).chmod(0o755)
    progress("compiling the standard library")
    add_bytecode(tree, "usr/lib/python3*", tree.root)
    return write_layer(tree, target)


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
