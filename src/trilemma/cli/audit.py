"""``trilemma audit``: read the ledger, and check that it is what was recorded."""

from typing import Annotated

import typer

app = typer.Typer(
    help="Read the ledger, and check that it is what was recorded.", no_args_is_help=True
)


@app.command()
def show(
    session: Annotated[str, typer.Option(help="Events of this session only.")] = "",
    domain: Annotated[str, typer.Option(help="Events of this domain only.")] = "",
    kind: Annotated[
        str, typer.Option(help="Events of this kind only: call.denied, or call for all of call.*")
    ] = "",
    tree: Annotated[
        str, typer.Option(help="Events of this root session and of all below it only.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
) -> None:
    """Print recorded events, oldest first."""
    from trilemma.cli.auditlog import Query, print_events
    from trilemma.gateway.settings import Settings

    query = Query(session=session, domain=domain, kind=kind, tree=tree)
    print_events(Settings.from_environment(), query, follow=follow, json=json)


@app.command()
def verify() -> None:
    """Check every hash, column and rule from the first event to the newest.

    Ends with 1, and names the first event that is wrong, where the ledger was changed.
    """
    from trilemma.cli import ledgers
    from trilemma.cli.phrases import counted
    from trilemma.gateway.settings import Settings

    found = ledgers.verified(Settings.from_environment())
    if not found.events:
        print("the ledger holds no event: its gateway ended before the first one")
        print("neither a layer nor an anchor (TRILEMMA_ANCHOR) says that there were any")
        return
    print(f"ledger {found.ledger_id} is what was recorded: {found.events} events")
    print(f"head: event {found.head.seq}, {found.head.hash}")
    calls = counted(found.unsettled, "call")
    print(f"{counted(found.domains, 'domain')}, none holds three; {calls} without an outcome")
