"""The inventory of an image that a person reads, taken once and kept by the image's digest."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from .cache import cache_folder
from .identity import ImageId
from .inventory import Inventory, audit

_VERSION = 1
"""Raised when what is looked for changes: what was kept before is taken again."""

_SHELLS = (
    *("ash", "bash", "busybox*", "csh", "dash", "fish", "ksh*", "mksh", "rbash", "sh", "tcsh"),
    "zsh*",
)
_COMPILERS = (
    *("as", "c++", "c89", "c99", "cc", "clang*", "*-g++*", "g++*", "*-gcc*", "gcc*", "ghc"),
    *("gfortran*", "go", "javac", "ld", "ld.*", "llc*", "rustc", "tcc"),
)
_INTERPRETERS = (
    *("*awk", "bun", "bwrap", "dc", "deno", "ed", "emacs*", "env", "expect", "find", "gdb*", "git"),
    *("guile*", "java", "jq", "ld-linux*", "ld-musl*", "less", "lua*", "m4", "make", "man", "nano"),
    *("node*", "perl*", "php*", "psql", "pypy*", "python*", "ruby*", "scm*", "sed", "sqlite3*"),
    *("ssh*", "tar", "tcl*", "vi", "vim*", "xargs"),
)
"""Programs that run what their input or arguments say."""

_PLACES = (
    *("/dev", "/opt", "/opt/trilemma", "/proc", "/run", "/run/trilemma", "/sys", "/tmp"),
    "/workspace",
)
"""On the way to what is mounted in every sandbox."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What matters of an image's files. Paths, in order."""

    programs: int
    """How many files can be executed."""
    shells: tuple[str, ...]
    interpreters: tuple[str, ...]
    compilers: tuple[str, ...]
    setuid: tuple[str, ...]
    capabilities: tuple[str, ...]
    """Files with capabilities of their own."""
    devices: tuple[str, ...]
    """Device nodes and fifos."""
    diverted: tuple[str, ...]
    """Links where sandboxes have mounts, which would appear elsewhere."""

    def unusable(self) -> Iterator[str]:
        """Why no sandbox is made of the image.

        Programs that run with rights of their own are no reason: where no process may gain
        privileges, the kernel runs them with none.
        """
        if self.devices:
            yield f"it holds device nodes or fifos ({_some(self.devices)})"
        if self.diverted:
            yield f"it holds links where a sandbox has mounts ({_some(self.diverted)})"


def contents(image: ImageId) -> Contents:
    """What the image holds: as it was kept, or read from the engine, which takes a second or two.

    Raises:
        SandboxError: the image cannot be read.
    """
    place = cache_folder() / "contents" / f"{image.removeprefix('sha256:')}.json"
    kept = _read(place.read_text()) if place.exists() else None
    if kept is not None:
        return kept
    found = summary(audit(image))
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"version": _VERSION, **asdict(found)}, indent=1))
    fresh.replace(place)
    return found


def summary(inventory: Inventory) -> Contents:
    """What matters of an inventory."""
    programs = inventory.programs
    items = inventory.items
    return Contents(
        programs=len(programs),
        shells=_named(programs, _SHELLS),
        interpreters=_named(programs, _INTERPRETERS),
        compilers=_named(programs, _COMPILERS),
        setuid=inventory.setuid,
        capabilities=inventory.powers,
        devices=inventory.special,
        diverted=tuple(p for p in _PLACES if p in items and items[p].type != "folder"),
    )


def _named(programs: Iterable[str], patterns: tuple[str, ...]) -> tuple[str, ...]:
    names = ((path, path.rpartition("/")[2]) for path in programs)
    return tuple(p for p, name in names if any(fnmatchcase(name, each) for each in patterns))


def _read(text: str) -> Contents | None:
    """What was kept; None where it is of another version or not whole."""
    try:
        kept: dict[str, Any] = json.loads(text)
        programs, version = int(kept.pop("programs")), kept.pop("version")
        paths = {name: tuple(map(str, found)) for name, found in kept.items()}
        return Contents(programs, **paths) if version == _VERSION else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _some(paths: tuple[str, ...]) -> str:
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
