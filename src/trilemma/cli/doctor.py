"""``trilemma doctor``: what works on this machine, and what to install."""

from typing import Annotated

import typer


def command(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Look at everything that runs need. Ends with 1 where runs cannot work."""
    from trilemma.cli.checks import report

    raise typer.Exit(report(json=json))
