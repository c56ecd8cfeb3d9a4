"""A ledger, its workspaces and a policy, all real."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces.labelling import Labelling
from trilemma.gateway.workspaces.opening import Opening
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import parse
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.regorus import RegorusEngine
from trilemma.sandbox.views import ViewMaker

Open = Callable[..., Opening]


@pytest.fixture(scope="session")
def decide() -> Decide:
    return DecisionPoint(RegorusEngine(Bundle.base())).decide


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "state").mkdir()
    with Ledger.open(tmp_path / "state/ledger.db") as ledger:
        yield ledger


@pytest.fixture
def workspaces(ledger: Ledger, tmp_path: Path) -> Iterator[Workspaces]:
    views = ViewMaker(tmp_path / "run")
    yield Workspaces(ledger, tmp_path / "state/layers", views, own=[tmp_path / "state"])
    views.close()


@pytest.fixture
def labelling(ledger: Ledger, tmp_path: Path) -> Labelling:
    return Labelling(ledger, tmp_path / "state/layers", own=[tmp_path / "state"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "notes.txt").write_text("notes\n")
    return folder


@pytest.fixture
def opening() -> Open:
    """Makes openings; each its own session, and its own domain unless one is named."""
    count = iter(range(1000))

    def make(path: Path, grants: str | None = "files code", **fields: Any) -> Opening:
        number = next(count)
        pair = None if grants is None else parse(grants.split())
        defaults: dict[str, Any] = {
            "principal": "somebody",
            "domain": f"domain-{number}",
            "session": f"session-{number}",
        }
        return Opening(path=path, grants=pair, **{**defaults, **fields})

    return make
