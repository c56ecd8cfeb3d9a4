"""``python -m trilemma.sandbox.images [base] [code]``: see that the images are there."""

import sys

from trilemma.errors import TrilemmaError

from .build import ensure
from .rootfs.recipe import Kind

_KINDS: tuple[Kind, ...] = ("base", "code")


def main(wanted: list[str]) -> int:
    """Build what is missing; silent when nothing is."""
    unknown = [name for name in wanted if name not in _KINDS]
    if unknown:
        print(f"unknown image {unknown[0]!r}; there are base and code", file=sys.stderr)
        return 2
    try:
        for kind in _KINDS:
            if not wanted or kind in wanted:
                ensure(kind, print)
    except TrilemmaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
