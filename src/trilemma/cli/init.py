"""``trilemma init``: a starter agent."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="Where to put it.")] = Path("."),
    model: Annotated[
        str, typer.Option(help="provider/model, or 'gullible', which needs no key.")
    ] = "",
    contract: Annotated[
        Literal["yes", "no", "ask"],
        typer.Option(help="Does a contract let the model's provider see your files?"),
    ] = "ask",
) -> None:
    """Make agent.yaml and a sample workspace, and ask who may see your files."""
    from trilemma.cli.starting import start

    start(folder, model, contract)
