"""Yes-or-no questions. Where nobody can answer, the command says what to add instead."""

import sys

from trilemma.cli.failure import Exit, Stop


def confirmed(question: str, *, without: str) -> bool:
    """Ask at the terminal; anything but yes means no.

    Raises:
        Stop: there is no terminal; ``without`` is the option that answers.
    """
    require_terminal(without)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def require_terminal(without: str) -> None:
    """Refuse to ask nobody.

    Raises:
        Stop: there is no terminal; ``without`` is the option that answers.
    """
    if not has_terminal():
        raise Stop(f"there is no terminal to ask at; add {without}", Exit.USAGE)


def has_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
