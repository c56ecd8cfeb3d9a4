"""Folders that are never a workspace: the system's, and Trilemma's own."""

import os
from collections.abc import Iterable
from pathlib import Path

from trilemma.errors import WorkspaceError

# Themselves only: folders below them may be somebody's work.
_TOPS = ("/", "/home", "/root", "/mnt", "/media", "/srv", "/opt", "/tmp", "/var", "/var/tmp")
# With everything below them: devices, sockets, programs and what configures the machine.
_TREES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run"),
    *("/sbin", "/sys", "/usr", "/var/lib/docker", "/var/lib/containerd", "/var/run"),
)
# In a home, with everything below them: keys and logins.
_SECRETS = (".ssh", ".gnupg", ".aws", ".docker", ".kube", ".config/gcloud", ".password-store")


def refuse_root(path: Path, own: Iterable[Path]) -> None:
    """Refuse a folder that is, holds or lies in a place no agent may see.

    ``own`` are Trilemma's folders: ledger, policy, caches, sockets.

    Raises:
        WorkspaceError: it is such a place.
    """
    home = Path(os.path.expanduser("~")).resolve()
    if path in {home, *map(Path, _TOPS)} or path.parent == Path("/home"):
        _refuse(path, "it holds more than one piece of work")
    for tree in (*map(Path, _TREES), *(home / name for name in _SECRETS)):
        if _within(path, tree):
            _refuse(path, f"it lies in {str(tree)!r}")
    for place in own:
        found = Path(os.path.realpath(place))
        if _within(path, found) or _within(found, path):
            _refuse(path, f"Trilemma's own files lie in {str(found)!r}")


def refuse_rules(path: Path, rules: Iterable[Path]) -> None:
    """Refuse to mount a folder for writing that holds what says what its agent may do.

    Raises:
        WorkspaceError: it holds the agent's own file, a tool's, or the operator's policy.
    """
    for rule in rules:
        # Where its name lies counts as well as where a link leads: either can be replaced.
        for place in (Path(os.path.realpath(rule)), Path(os.path.abspath(rule))):
            if _within(place, path):
                raise WorkspaceError(
                    f"workspace {str(path)!r} cannot be mounted directly: {str(place)!r} in it "
                    "says what the agent may do; use mode: layer, or keep that file elsewhere"
                )


def overlaps(one: Path, other: Path) -> bool:
    """Whether one of two different folders lies in the other."""
    return one != other and (_within(one, other) or _within(other, one))


def _within(path: Path, tree: Path) -> bool:
    # Not by path.parents: opening a folder compares fifty, and that makes each of them anew.
    return path.parts[: len(tree.parts)] == tree.parts


def _refuse(path: Path, reason: str) -> None:
    raise WorkspaceError(
        f"{str(path)!r} cannot be a workspace: {reason}; name the one folder the agent works on"
    )
