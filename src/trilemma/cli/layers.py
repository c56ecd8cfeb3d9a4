"""What becomes of a run's layer: kept where it holds changes, given back where it is empty."""

from trilemma.cli.kept import Kept
from trilemma.errors import TrilemmaError
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.workspaces.review import Review
from trilemma.result import Result


def keep(gateway: LocalGateway, result: Result, continued: str | None) -> Kept | None:
    """Look at the layer of a run that has ended; an empty one that it began is discarded.

    Never raises: the run's answer is worth more than a look at its layer.
    """
    if result.layer is None:
        return None
    try:
        return _look(gateway, result.layer, continued)
    except TrilemmaError as error:
        return Kept(result.layer, 0, 0, 0, problem=str(error))


def _look(gateway: LocalGateway, name: str, continued: str | None) -> Kept | None:
    review = Review(gateway.enforcement.ledger, gateway.settings.layers)
    layer = review.find(name)
    found = review.diff(layer)
    if not found and not found.refused and continued is None:
        review.discard(layer, gateway.principal)
        return None
    runs = sum(1 for change in found.changes if change.runs)
    return Kept(layer.id, len(found.changes), runs, len(found.refused))
