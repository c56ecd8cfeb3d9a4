"""Whether this process may mount, and so read what only those may who do."""

from pathlib import Path

from trilemma.errors import WorkspaceError

_SYS_ADMIN = 21
"""The capability that mounting takes."""


def may_mount() -> bool:
    """Whether the kernel lets this process mount."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> _SYS_ADMIN & 1)
    return False


def refuse_half_read(layer: Path) -> None:
    """Refuse a layer that was mounted once, where this process would read only half of it.

    That a folder hides what lies below it stands in an attribute which others do not even see:
    what an agent deleted would be there again, and no person would be shown that it goes.

    Raises:
        WorkspaceError: it is such a layer.
    """
    if (layer / "work").exists() and not may_mount():
        raise WorkspaceError(
            f"layer {layer.name!r} was written where folders can be mounted, and reading it takes "
            "CAP_SYS_ADMIN, which this process does not have; use it there"
        )
