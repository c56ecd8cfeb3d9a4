"""``trilemma clean``: remove what dead gateways left behind."""

from typing import Annotated

import typer


def command(
    images: Annotated[
        bool, typer.Option("--images", help="Also remove images and volumes of other versions.")
    ] = False,
) -> None:
    """Remove containers, mounts and folders of dead gateways, and close their sessions.

    What runs is left alone, and so are layers: changes that wait for you.
    """
    from trilemma.cli.cleaning import clean

    clean(images=images)
