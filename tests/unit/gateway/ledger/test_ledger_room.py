"""Room for the log: nothing is lost by it, and nobody else's part of the log is touched."""

import shutil
from pathlib import Path

import pytest

from trilemma.gateway.ledger import room
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.room import PAGES
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def fill(ledger: Ledger, count: int, name: str = "early") -> None:
    for number in range(count):
        ledger.append(Event(kind=Kind.SESSION_OPENED, session=f"{name}-{number}"))


def test_the_log_has_its_room_from_then_on(ledger: Ledger, path: Path) -> None:
    fill(ledger, 3)
    before = log_of(path).read_bytes()
    ledger.make_room()
    made = log_of(path).stat().st_size
    assert made >= PAGES * 4096
    assert log_of(path).read_bytes().startswith(before)
    fill(ledger, 4, "later")
    assert log_of(path).stat().st_size == made, "a commit made the file longer after all"
    assert verify(path).events == 1 + 3 + 4


def test_what_a_killed_process_wrote_into_the_room_is_read_back(
    ledger: Ledger, path: Path, tmp_path: Path
) -> None:
    ledger.make_room()
    fill(ledger, 5)
    # What a power cut or a kill leaves: the files as they are now, and nobody who closes them.
    left = tmp_path / "left"
    shutil.copytree(path.parent, left)
    assert verify(left / path.name).events == 6
    with Ledger.open(left / path.name) as again:
        fill(again, 1200, "later")
    assert verify(left / path.name).events == 6 + 1200


def test_it_is_not_made_twice(ledger: Ledger, path: Path) -> None:
    ledger.make_room()
    before = log_of(path).stat()
    ledger.make_room()
    assert log_of(path).stat().st_size == before.st_size


def test_a_log_that_is_gone_is_no_error_here(ledger: Ledger, path: Path) -> None:
    log_of(path).unlink()
    ledger.make_room()
    assert not log_of(path).exists()


def test_what_is_left_of_a_small_disk_is_kept_for_events(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = log_of(path).stat().st_size
    monkeypatch.setattr(room, "_SCARCE", 2**62)
    ledger.make_room()
    assert log_of(path).stat().st_size == before
