"""Packages into a tree: their files alone, without their scripts."""

import subprocess
import tarfile
from pathlib import Path

from trilemma.errors import SandboxError

from .apt import Package
from .recipe import Recipe
from .tree import Tree, merged


def unpack(package: Package, recipe: Recipe, tree: Tree) -> None:
    """Add one package's files, except what the recipe drops."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package.file)]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
            _add_all(source, recipe, tree)
    except tarfile.TarError as error:
        raise SandboxError(f"{package.file.name!r} cannot be read: {error}") from error
    if source.returncode:
        raise SandboxError(f"dpkg-deb cannot unpack {package.file.name!r}")


def _add_all(source: subprocess.Popen[bytes], recipe: Recipe, tree: Tree) -> None:
    with tarfile.open(fileobj=source.stdout, mode="r|") as archive:
        for member in archive:
            _add(archive, member, recipe, tree)


def _add(archive: tarfile.TarFile, member: tarfile.TarInfo, recipe: Recipe, tree: Tree) -> None:
    path = merged(member.name)
    if not path or path == "." or f"{path}/".startswith(recipe.dropped) or path in recipe.dropped:
        return
    if member.isdir():
        tree.folder(path)
    elif member.issym():
        tree.link(path, member.linkname)
    elif member.islnk():
        tree.add(path, tree.content(merged(member.linkname)), member.mode)
    elif member.isreg():
        content = archive.extractfile(member)
        if content is not None:
            tree.add(path, content, member.mode)
    # Devices, fifos and sockets are left out: a sandbox image holds none.


def unpack_all(packages: list[Package], recipe: Recipe, root: Path) -> Tree:
    """A tree of all packages, in the order given."""
    tree = Tree(root)
    for package in packages:
        unpack(package, recipe, tree)
    return tree
