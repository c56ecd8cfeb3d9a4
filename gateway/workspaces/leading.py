"""Where a link leads that an agent made, through whatever links lie on its way."""

import os
from collections.abc import Sequence
from pathlib import PurePosixPath

from ...sandbox.beneath import directory
from .look import split

_MOST_LINKS = 40
"""As many as the kernel follows."""


def leads_out(path: str, target: str, roots: tuple[int, ...]) -> bool:
    """Whether a link at ``path`` leads out of the folder, or may.

    ``roots`` are directories of which each may say what lies on the way: the folder and the layer,
    of which a person may apply a part.
    """
    return _says_so(path, target) or _Walk(roots).leaves(list(_above(path)), _parts(target))


def _says_so(path: str, target: str) -> bool:
    """Whether its text alone leads out.

    Going up is told by that only at its beginning: behind another link it leads anywhere.
    """
    parts = PurePosixPath(target).parts
    ups = parts.count("..")
    if target.startswith("/") or ups > len(_above(path)):
        return True
    return parts[:ups] != ("..",) * ups


class _Walk:
    """Follows the links that are there already."""

    def __init__(self, roots: tuple[int, ...]) -> None:
        self._roots = roots
        self._left = _MOST_LINKS

    def leaves(
        self, at: list[str], parts: Sequence[str | None], within: tuple[str, ...] = ()
    ) -> bool:
        """Whether going on from ``at`` by ``parts`` leads out, by any of the roots.

        ``within`` are the links that are being followed; a None among the parts is one's end.
        """
        at, ahead = list(at), list(parts)
        while ahead:
            part = ahead.pop(0)
            if part is None:
                within = within[:-1]
                continue
            if part != "..":
                at.append(part)
            elif not at:
                return True
            else:
                at.pop()
                continue
            here = "/".join(at)
            found = self._targets(here)
            if found and here in within:
                # In a circle: the kernel never gets to its end.
                return False
            if any(self._leaves_by(target, at, ahead, (*within, here)) for target in found):
                return True
        return False

    def _leaves_by(
        self, target: str, at: list[str], rest: list[str | None], within: tuple[str, ...]
    ) -> bool:
        self._left -= 1
        if self._left < 0 or target.startswith("/"):
            return True
        return self.leaves(at[:-1], [*_parts(target), None, *rest], within)

    def _targets(self, path: str) -> list[str]:
        """Where the links lead that lie at ``path``."""
        parent, name = split(path)
        found = []
        for root in self._roots:
            try:
                with directory(root, parent) as opened:
                    found.append(os.readlink(name, dir_fd=opened))
            except OSError:
                # No link, or nothing at all.
                continue
        return found


def _parts(target: str) -> list[str]:
    return [part for part in PurePosixPath(target).parts if part != "/"]


def _above(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]
