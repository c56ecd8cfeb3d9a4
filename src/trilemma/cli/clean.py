"""``trilemma clean``: remove what dead gateways left behind."""

from typing import Annotated

import typer


def command(
    images: Annotated[
        bool, typer.Option("--images", help="Also remove images and volumes of other versions.")
    ] = False,
    gone: Annotated[
        list[str] | None,
        typer.Option("--gone", metavar="GATEWAY", help="One of which you know that it has ended."),
    ] = None,
) -> None:
    """Remove containers, mounts and folders of dead gateways, and close their sessions.

    What runs is left alone, and so are layers: changes that wait for you. A gateway that cannot be
    judged from here, as one on another machine or of another version, is left alone and named.
    """
    from trilemma.cli.cleaning import clean

    clean(images=images, gone=frozenset(gone or ()))
