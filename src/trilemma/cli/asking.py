"""Yes-or-no questions. Where nobody can answer, the command says what to add instead."""

import sys

from trilemma.cli.failure import Exit, Stop


def confirmed(question: str, *, without: str) -> bool:
    """Ask at the terminal; anything but yes means no.

    Raises:
        Stop: there is no terminal; ``without`` is the option that answers.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(f"there is no terminal to ask at; add {without}", Exit.USAGE)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
