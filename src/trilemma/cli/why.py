"""``trilemma why``: explain how a call was decided."""

from typing import Annotated

import typer


def command(
    call: Annotated[
        str, typer.Argument(help="A call's name in the ledger, or the number of an event.")
    ],
) -> None:
    """Explain a decision: the facts, the reasons, and the events that led there."""
    from trilemma.cli.explaining import explain

    explain(call)
