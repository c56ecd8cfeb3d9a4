"""The two tables: what stopped each attack, and what each does where nothing stops it."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from trilemma.demo.effects import Effect
from trilemma.demo.screen import plain
from trilemma.demo.verdicts import Stop


def guarded(results: Sequence[Effect], stopped: Mapping[str, tuple[Stop, ...]]) -> Table:
    """With the gate: attack, what stopped it, what arrived all the same."""
    table = _table("stopped by", "because", "arrived")
    for result in results:
        found = stopped[result.letter.name]
        layers = Text("\n".join(stop.layer for stop in found) or "nothing", "bold green")
        details = Text("\n".join(stop.detail for stop in found), "bright_black")
        table.add_row(_attack(result), layers, details, _arrived(result))
    return table


def unguarded(results: Sequence[Effect]) -> Table:
    """Without it."""
    table = _table("what happened")
    for result in results:
        table.add_row(_attack(result), _happened(result))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("a letter told the model to")
    for column in columns:
        table.add_column(column)
    return table


def _attack(result: Effect) -> Text:
    return Text(plain(result.letter.attack, 48))


def _arrived(result: Effect) -> Text:
    if result.succeeded:
        return Text("yes", "bold red")
    return Text("no", "green")


def _happened(result: Effect) -> Text:
    if result.leaked:
        names = ", ".join(sorted(result.leaked))
        return Text(f"✗ {names} arrived", "bold red")
    if result.changed:
        return Text(f"✗ {result.letter.changes} is not what it was", "bold red")
    return Text("nothing", "green")
