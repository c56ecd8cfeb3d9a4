"""A person says who wrote a folder."""

from pathlib import Path

from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.principal import current_principal
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.changes import printable
from trilemma.gateway.workspaces.labelling import Labelling
from trilemma.gateway.workspaces.opening import Origin
from trilemma.policy.capability import show


def declare(folder: Path, origin: str) -> None:
    """Record the declaration, under the name of whoever makes it.

    Raises:
        WorkspaceError: the folder cannot be a workspace, or is in use.
    """
    settings = Settings.from_environment()
    own = (settings.state, settings.config, settings.runtime)
    chosen = Origin(origin)
    with Ledger.open(
        settings.ledger, durability=settings.durability, anchor=settings.anchor
    ) as ledger:
        acts = Labelling(ledger, settings.layers, own)
        name = acts.declare(folder, chosen, current_principal())
    where = printable(str(folder.resolve()))
    print(f"{where} is workspace {name} from now on; its label is {show(chosen.label)}")
