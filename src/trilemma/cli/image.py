"""``trilemma image``: the images that sandboxes are made of."""

from typing import Annotated

import typer

app = typer.Typer(help="Build and inspect the images of sandboxes.", no_args_is_help=True)


@app.command()
def build(
    package: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="PACKAGE", help="A Python package for code agents."),
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Build again, from the packages of today.")
    ] = False,
) -> None:
    """Build what is missing and print the images' ids."""
    from trilemma.cli.shipping import build as act

    act(package or [], refresh=refresh)


@app.command("ls")
def list_all() -> None:
    """List the images of this version."""
    from trilemma.cli.shipping import list_all as act

    act()


@app.command("inspect")
def inspect(
    image: Annotated[str, typer.Argument(help="code, base, or any name of an image.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what an image holds, what a sandbox replaces of it, and whether it may be used."""
    from trilemma.cli.image_inspect import inspect as act
    from trilemma.cli.shipping import image_id

    act(image_id(image), as_json=json)


@app.command("hash")
def hash_file(
    path: Annotated[str, typer.Argument(help="Absolute path inside the image.")],
    image: Annotated[str, typer.Option(help="code, base, or the id of an image.")] = "code",
) -> None:
    """Print the sha256 of a program inside an image, for a tool's 'sha256' field."""
    from trilemma.cli.shipping import hash_file as act

    act(path, image)
