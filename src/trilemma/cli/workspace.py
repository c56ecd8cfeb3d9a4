"""``trilemma workspace``: how agents' changes reach a folder, and who wrote it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="See what agents changed, and decide what becomes of it.", no_args_is_help=True
)

_LayerName = Annotated[
    str, typer.Argument(metavar="LAYER", help="A layer's id, or the path of a folder with one.")
]
_Named = Annotated[
    str, typer.Argument(metavar="PATH|LAYER", help="A folder, or the id of a layer.")
]
_Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="These paths only; may be repeated."),
]


@app.command("ls")
def list_all(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per workspace.")] = False,
) -> None:
    """List known workspaces, their labels, and the layers that wait for you."""
    from trilemma.cli.shelf import Shelf

    with Shelf.opened() as shelf:
        shelf.list_all(json=json)


@app.command()
def diff(
    layer: _LayerName,
    only: _Only = None,
    brief: Annotated[bool, typer.Option("--brief", help="Names only, no content.")] = False,
) -> None:
    """Show what applying a layer would change; what runs by itself comes first."""
    from trilemma.cli.shelf import Shelf

    with Shelf.opened() as shelf:
        shelf.diff(layer, only or [], content=not brief)


@app.command()
def apply(
    layer: _LayerName,
    only: _Only = None,
    yes: Annotated[
        str, typer.Option("--yes", metavar="HASH", help="The hash that 'diff' printed, not asked.")
    ] = "",
) -> None:
    """Put a layer's changes into the folder: exactly what you saw, or nothing."""
    from trilemma.cli.shelf import Shelf

    with Shelf.opened() as shelf:
        shelf.apply(layer, only or [], yes)


@app.command()
def discard(
    layer: _LayerName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Throw a layer away."""
    from trilemma.cli.shelf import Shelf

    with Shelf.opened() as shelf:
        shelf.discard(layer, yes=yes)


@app.command()
def label(
    name: _Named,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="CAPABILITY", help="Join it in; may be repeated."),
    ] = None,
) -> None:
    """Show what a folder or a layer carries, and the events that made it so."""
    from trilemma.cli.labels import label as act

    act(name, add or [])


@app.command()
def declassify(
    name: _Named,
    remove: Annotated[
        list[str],
        typer.Option("--remove", metavar="CAPABILITY", help="Take it out; may be repeated."),
    ],
    yes: Annotated[
        str, typer.Option("--yes", metavar="HASH", help="The hash of what you saw, not asked.")
    ] = "",
) -> None:
    """Answer, by name, for files: their label loses something. Every file is recorded."""
    from trilemma.cli.labels import declassify as act

    act(name, remove, yes)


@app.command()
def declare(
    folder: Annotated[Path, typer.Argument(help="The folder.")],
    origin: Annotated[
        Literal["own", "strangers"],
        typer.Option(help="own: your work. strangers: mail, downloads, a fork."),
    ],
) -> None:
    """Say who wrote a folder. It begins anew with that label; the ledger keeps your name."""
    from trilemma.cli.declaring import declare as act

    act(folder, origin)
