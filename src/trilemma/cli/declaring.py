"""A person says who wrote a folder."""

import tempfile
from pathlib import Path

from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.principal import current_principal
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.changes import printable
from trilemma.gateway.workspaces.opening import Origin
from trilemma.gateway.workspaces.registry import Workspaces
from trilemma.policy.capability import show
from trilemma.sandbox.views import ViewMaker


def declare(folder: Path, origin: str) -> None:
    """Record the declaration, under the name of whoever makes it.

    Raises:
        WorkspaceError: the folder cannot be a workspace, or is in use.
    """
    settings = Settings.from_environment()
    own = (settings.state, settings.config, settings.runtime)
    chosen = Origin(origin)
    # Nothing is mounted for this, but the registry wants to know where it could be.
    with (
        tempfile.TemporaryDirectory(prefix="trilemma-") as scratch,
        Ledger.open(
            settings.ledger, durability=settings.durability, anchor=settings.anchor
        ) as ledger,
    ):
        views = ViewMaker(Path(scratch))
        try:
            registry = Workspaces(ledger, settings.layers, views, own=own)
            name = registry.declare(folder, chosen, current_principal())
        finally:
            views.close()
    where = printable(str(folder.resolve()))
    print(f"{where} is workspace {name} from now on; its label is {show(chosen.label)}")
