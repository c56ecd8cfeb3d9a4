"""All commands. Each imports what it needs when it runs, so that ``--help`` is quick."""

from typing import Annotated

import typer

from trilemma.cli import (
    audit,
    clean,
    crossings,
    demo,
    doctor,
    image,
    init,
    prove,
    regotests,
    run,
    runs,
    sessions,
    why,
    workspace,
)

app = typer.Typer(
    name="trilemma",
    help="An agent runtime with one door. Files, internet, code: pick two.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Run agents that hold at most two of files, internet and code."""
    # The option is taken out before this is called; it stands here for the help text.
    del debug


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"trilemma {installed('trilemma')}")


app.command("run")(run.command)
app.command("runs")(runs.runs)
app.command("resume")(runs.resume)
app.command("ps")(sessions.ps)
app.command("stop")(sessions.stop)
app.command("why")(why.command)
app.command("crossings")(crossings.command)
app.command("prove")(prove.command)
app.command("test")(regotests.command)
app.command("init")(init.command)
app.command("doctor")(doctor.command)
app.command("demo", context_settings=demo.SETTINGS)(demo.command)
app.command("clean")(clean.command)
app.add_typer(audit.app, name="audit")
app.add_typer(workspace.app, name="workspace")
app.add_typer(image.app, name="image")
