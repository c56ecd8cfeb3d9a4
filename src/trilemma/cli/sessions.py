"""``trilemma ps`` and ``trilemma stop``: sessions of all gateways of this user."""

from typing import Annotated

import typer


def ps(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per session.")] = False,
) -> None:
    """List running sessions and what they hold."""
    from trilemma.cli.running_sessions import list_sessions

    list_sessions(json=json)


def stop(
    session: Annotated[str, typer.Argument(help="A session that 'trilemma ps' shows.")] = "",
    all_sessions: Annotated[bool, typer.Option("--all", help="Every running session.")] = False,
) -> None:
    """End sessions: their calls are killed, and everything is given back."""
    from trilemma.cli.running_sessions import stop_sessions

    stop_sessions(session, every=all_sessions)
