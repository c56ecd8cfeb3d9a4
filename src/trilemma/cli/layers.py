"""What becomes of a run's layer: kept where it holds changes, given back where it is empty."""

from dataclasses import dataclass

from trilemma.gateway.local import LocalGateway
from trilemma.gateway.workspaces.review import Review
from trilemma.result import Result


@dataclass(frozen=True, slots=True)
class Kept:
    """A layer that waits for a person."""

    layer: str
    changes: int
    run_by_themselves: int
    """Changes to files that run, or steer what runs, without anybody opening them."""
    refused: int


def keep(gateway: LocalGateway, result: Result, continued: str | None) -> Kept | None:
    """Look at the layer of a run that has ended; an empty one that it began is discarded."""
    if result.layer is None:
        return None
    review = Review(gateway.enforcement.ledger, gateway.settings.layers)
    layer = review.find(result.layer)
    found = review.diff(layer)
    if not found and not found.refused and continued is None:
        review.discard(layer, gateway.principal)
        return None
    runs = sum(1 for change in found.changes if change.runs)
    return Kept(layer.id, len(found.changes), runs, len(found.refused))
