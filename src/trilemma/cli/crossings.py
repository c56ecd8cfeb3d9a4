"""``trilemma crossings``: what crossed between domains, and what may still cross."""

from typing import Annotated

import typer


def command(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per account.")] = False,
) -> None:
    """List the bits that crossed between domains, for each principal and workspace.

    They are counted for ever: no new agent, session or restart gives any back.
    """
    from trilemma.cli.crossed import list_accounts

    list_accounts(json=json)
