from collections.abc import Iterator
from pathlib import Path

import pytest

from trilemma.gateway.ledger.store import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, durability="normal") as opened:
        yield opened
