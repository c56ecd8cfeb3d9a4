"""``trilemma run``: an agent works on a task while you watch."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    agent: Annotated[Path, typer.Argument(help="The agent's YAML file.")],
    task: Annotated[str, typer.Argument(help="What it shall do; '-' reads standard input.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print events and the result as JSON lines.")
    ] = False,
    layer: Annotated[
        str | None, typer.Option(metavar="LAYER", help="Continue the changes of an earlier run.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The operator's policy for this run.")
    ] = None,
) -> None:
    """Run an agent on a task. Each run is a domain of its own.

    The answer goes to standard output, everything else to standard error. Ends with 0 when the
    agent is done, 2 where something is written wrong, 3 when policy refuses the run before its
    first step, 4 when a limit stops it, 5 when its last tool call failed, 130 on Ctrl-C, and 1 on
    any other error.
    """
    from trilemma.cli.running import New

    raise typer.Exit(New(json, policy, agent, task, layer).execute())
