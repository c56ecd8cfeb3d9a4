"""What a running system finds besides the packages' files: mount points, users, certificates."""

from .recipe import Recipe
from .tree import MERGED, Tree

_FOLDERS = {
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "opt/trilemma": 0o755,
    "proc": 0o555,
    "run/trilemma": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "workspace": 0o755,
}
_FILES = {
    "etc/group": "root:x:0:\nsandbox:x:64101:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
    "etc/passwd": (
        "root:x:0:0:root:/nonexistent:/nonexistent\n"
        "sandbox:x:64101:64101:sandbox:/tmp:/nonexistent\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/nonexistent\n"
    ),
}
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"


def add_skeleton(tree: Tree, recipe: Recipe) -> None:
    """Add folders, accounts, the merged-usr links and what the recipe links."""
    for path, mode in _FOLDERS.items():
        tree.folder(path, mode)
    for path, text in _FILES.items():
        tree.add(path, text.encode())
    if not recipe.below:
        for name in MERGED:
            tree.folder(f"usr/{name}")
            tree.link(name, f"usr/{name}")
        tree.link("var/tmp", "/tmp")
    for path, target in recipe.links:
        tree.link(path, target)
    if recipe.certificates:
        _add_certificates(tree)


def _add_certificates(tree: Tree) -> None:
    """What update-ca-certificates would make of the shipped certificates."""
    shipped = tree.files("usr/share/ca-certificates/mozilla/*.crt")
    bundle = b"".join(tree.content(path).rstrip(b"\n") + b"\n" for path in shipped)
    tree.add(_BUNDLE, bundle)
    tree.link("usr/lib/ssl/cert.pem", f"/{_BUNDLE}")
