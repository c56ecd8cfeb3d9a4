"""Killed while it begins a ledger, a gateway leaves one that holds nothing, or a whole one."""

import os
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trilemma.errors import LedgerTampered
from trilemma.gateway.ledger import connection, store
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify

Stage = tuple[ModuleType, str]

STAGES: list[Stage] = [
    (connection, "prepare"),
    (connection, "writer"),
    (connection, "create_tables"),
    (store, "first_event"),
    (store, "write"),
]
"""Everything that is done until the first event is committed, in order."""


def begin_until_after(stage: Stage, path: Path) -> None:
    """Begin a ledger in a process that is killed when it has done that."""
    child = os.fork()
    if child == 0:
        module, name = stage
        done = getattr(module, name)

        def last(*arguments: Any) -> None:
            done(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(module, name, last)
        Ledger.open(path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: str(stage[1]))
def test_whatever_is_left_verifies_as_holding_nothing_and_is_begun_by_the_next(
    path: Path, tmp_path: Path, stage: Stage
) -> None:
    begin_until_after(stage, path)
    found = verify(path, anchor=tmp_path / "anchor")
    assert (found.events, found.head.seq, found.ledger_id) == (0, 0, "")
    with Ledger.open(path) as ledger:
        assert ledger.head().seq == 1
    assert verify(path).events == 1


def test_twin_tables_that_are_made_first_look_like_an_emptied_ledger(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = connection.create_tables

    def at_once(opened: Any) -> None:
        make(opened)
        opened.execute("COMMIT")

    monkeypatch.setattr(connection, "create_tables", at_once)
    begin_until_after((connection, "create_tables"), path)
    with pytest.raises(LedgerTampered, match="the ledger is empty"):
        verify(path)
