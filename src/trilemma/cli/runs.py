"""``trilemma runs`` and ``trilemma resume``: runs that were interrupted, and how they go on."""

from pathlib import Path
from typing import Annotated

import typer


def runs(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per run.")] = False,
    forget: Annotated[
        str, typer.Option(metavar="RUN", help="Delete what is kept of a run instead.")
    ] = "",
) -> None:
    """List runs: those that run, those that may go on, and how the others ended.

    What a run said and read is kept until it is done, so that it can go on.
    """
    from trilemma.cli.kept_runs import forget_run, list_runs

    if forget:
        forget_run(forget)
    else:
        list_runs(json=json)


def resume(
    run: Annotated[str, typer.Argument(help="A run that 'trilemma runs' shows.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print events and the result as JSON lines.")
    ] = False,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The operator's policy for this run.")
    ] = None,
) -> None:
    """Go on with a run that was interrupted: from its last step, in its domain, with its layer.

    A call that was under way is not made again: nobody knows how it ended, and the model reads
    that. What the run has used of its limits stays used. Ends as 'trilemma run' does.
    """
    from trilemma.cli.running import Resumed

    raise typer.Exit(Resumed(json, policy, run).execute())
