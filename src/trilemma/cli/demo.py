"""``trilemma demo``: the inbox, its attackers, and what became of them."""

from importlib import import_module

import typer

from trilemma.cli.failure import Stop

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def command(context: typer.Context) -> None:
    """See an agent obey its attackers, and what stops them."""
    try:
        main = import_module("trilemma.demo").main
    except ModuleNotFoundError as error:
        raise Stop(f"the demo is not part of this installation ({error})") from None
    status = main(context.args)
    raise typer.Exit(int(status or 0))
