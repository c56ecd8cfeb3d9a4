"""A copy carries what its original did when it was begun, whatever happens meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces.labelling import Labelling
from trilemma.gateway.workspaces.layers import Layer
from trilemma.gateway.workspaces.opening import Mode, Opening
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.gateway.workspaces.snapshots import Snapshot, Snapshots
from trilemma.policy.capability import NONE, parse
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.views import ViewMaker

Open = Callable[..., Opening]
ANSWERED = parse(["code"])


class Slow(Snapshots):
    """A copy during which a person cleans the folder up, and then answers for what is left."""

    def __init__(self, root: Path, labelling: Labelling) -> None:
        super().__init__(root, "one", 2**20)
        self._labelling = labelling

    def take(self, folder: Folder, layer: Layer | None) -> Snapshot:
        copied = super().take(folder, layer)
        (folder.path / "notes.txt").unlink()
        subject = self._labelling.find(str(folder.path))
        shown = self._labelling.contents(subject)
        self._labelling.declassify(subject, ANSWERED, shown, "somebody")
        return copied


@pytest.fixture
def copied(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    folder: Path,
    opening: Open,
    decide: Decide,
    tmp_path: Path,
) -> Callable[[], Path]:
    """Copies, for an agent with files and code, what one like it wrote; the copy's folder."""
    workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), decide).close()
    slow = Slow(tmp_path / "state/snapshots", labelling)
    own = [tmp_path / "state"]

    def copy() -> Path:
        views = ViewMaker(tmp_path / "views")
        registry = Workspaces(ledger, tmp_path / "state/layers", views, own=own, snapshots=slow)
        registry.open(opening(folder, "files code", mode=Mode.SNAPSHOT), decide)
        (place,) = slow.place.iterdir()
        return place

    return copy


def test_who_declassifies_while_it_is_copied_answers_for_no_copy(
    copied: Callable[[], Path], ledger: Ledger
) -> None:
    place = copied()
    assert (place / "files/notes.txt").exists()
    assert ledger.label(place.name) == parse(["files", "code"])


def test_sabotage_with_the_label_of_afterwards_alone_the_copy_is_clean(
    copied: Callable[[], Path], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workspaces, "_label", lambda self, names: NONE)
    place = copied()
    assert (place / "files/notes.txt").exists()
    assert ledger.label(place.name) == parse(["files"])
