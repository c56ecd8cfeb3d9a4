"""What the demo is asked for."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The demo's command line."""

    svg: Path | None = None
    """Where its picture goes."""
    keep: bool = False
    """Leave the mailbox, the report and the ledger to look at."""


def read_options(argv: Sequence[str]) -> Options:
    """Read the command line; exits with a usage line where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="trilemma demo", description="A hijacked model reads poisoned mail."
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture of it")
    parser.add_argument("--keep", action="store_true", help="keep mailbox and ledger afterwards")
    given = parser.parse_args(list(argv))
    return Options(svg=given.svg, keep=given.keep)
