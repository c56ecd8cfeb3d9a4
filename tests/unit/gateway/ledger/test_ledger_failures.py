import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from trilemma.errors import LedgerError
from trilemma.gateway.ledger import writelock
from trilemma.gateway.ledger.connection import Durability
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.ledger.writelock import WriteLock

Reserve = Callable[..., Reservation]
NOTE = Event(kind=Kind.SANDBOX_CREATED, domain="d", body={"text": "x" * 2000})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("needs root, to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.root
def test_a_full_disk_stops_every_act_and_loses_nothing(small_disk: Path, reserve: Reserve) -> None:
    path, ballast = small_disk / "ledger.db", small_disk / "ballast"
    with Ledger.open(path) as ledger:
        reserve(ledger, "before", ["files"])
        with ballast.open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(b"\0" * 4096)
        decided: list[str] = []

        def go_on() -> None:
            for number in range(100):
                reserve(ledger, f"c{number}", ["code"])
                decided.append(f"c{number}")
                ledger.append(NOTE)

        with pytest.raises(LedgerError, match=r"disk is full.*free space"):
            go_on()
        recorded = {r.event.call for r in ledger.events(kind=Kind.CALL_RESERVED)}
        assert {"before", *decided} <= recorded
        ballast.unlink()
        reserve(ledger, "after", ["code"])
        assert len(ledger.held("d").capabilities) == 2
    verify(path)


def test_a_ledger_in_an_unwritable_place_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"cannot make the ledger .*/file/ledger.db"):
        Ledger.open(tmp_path / "file" / "ledger.db")
    with pytest.raises(LedgerError, match="is not a file"):
        Ledger.open(tmp_path)


def test_something_else_than_a_ledger_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database " * 100)
    with pytest.raises(LedgerError, match="it is not a ledger"):
        Ledger.open(text)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    with pytest.raises(LedgerError, match="does not hold the tables"):
        Ledger.open(other)
    with pytest.raises(LedgerError, match="cannot be opened"):
        verify(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_only_its_owner_can_read_a_ledger(ledger: Ledger, path: Path) -> None:
    ledger.append(NOTE)
    modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    names = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock")
    assert modes == dict.fromkeys(names, 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("attack", [Path.unlink, lambda p: p.rename(p.with_name("moved"))])
def test_a_file_that_goes_away_in_use_stops_every_act(
    ledger: Ledger, path: Path, attack: Callable[[Path], None], reserve: Reserve
) -> None:
    attack(path)
    with pytest.raises(LedgerError, match="moved, deleted or replaced"):
        reserve(ledger, "c1", ["files"])


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_a_ledger_in_trouble_can_be_closed(path: Path, durability: Durability) -> None:
    ledger = Ledger.open(path, durability=durability, anchor=path.with_name("anchor"))
    path.unlink()
    with pytest.raises(LedgerError, match="moved, deleted or replaced"):
        ledger.append(NOTE)
    ledger.close()


def test_at_durability_normal_the_anchor_follows_what_is_on_disk(
    path: Path, tmp_path: Path, reserve: Reserve
) -> None:
    anchor = tmp_path / "anchor"
    with Ledger.open(path, durability="normal", anchor=anchor) as ledger:
        opened = ledger.head()
        reserve(ledger, "lazy")
        assert f'"seq": {opened.seq},' in anchor.read_text()
        durable = ledger.append(Event(kind=Kind.SESSION_OPENED, domain="d", session="s"))
        assert f'"seq": {durable.seq},' in anchor.read_text()
        last = reserve(ledger, "lazy too").recorded
    assert f'"seq": {last.seq},' in anchor.read_text()
    assert verify(path, anchor=anchor).head == last.head


def test_a_file_that_is_replaced_in_use_stops_every_act(ledger: Ledger, path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)
    with pytest.raises(LedgerError, match="moved, deleted or replaced"):
        ledger.append(NOTE)


def test_a_forked_child_cannot_use_the_ledger_of_its_parent(ledger: Ledger, path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ledger.append(NOTE)
            os.write(writing, b"recorded")
        except LedgerError as error:
            ledger.close()
            with Ledger.open(path) as own:
                own.append(NOTE)
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert "open it again here" in answer.read()
    assert [r.event.kind for r in ledger.events(after=1)] == [Kind.SANDBOX_CREATED]
    ledger.append(NOTE)


def test_a_closed_ledger_says_so(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="it is closed"):
        ledger.append(NOTE)
    with pytest.raises(LedgerError, match="it is closed"):
        ledger.head()


def test_writing_from_inside_a_transaction_is_refused(ledger: Ledger) -> None:
    def nested(_view: object) -> list[Event]:
        ledger.append(NOTE)
        return []

    with pytest.raises(LedgerError, match="inside one of its transactions"):
        ledger.transact(nested)
    assert ledger.head().seq == 1
    ledger.append(NOTE)


def test_an_error_inside_a_transaction_leaves_no_trace(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError):
        ledger.transact(lambda view: [NOTE] * (1 // 0))
    assert ledger.append(NOTE).seq == 2


def test_a_lock_that_another_process_keeps_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writelock, "_PATIENCE", 0.05)
    first, second = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock")
    with first.hold(), pytest.raises(LedgerError, match="another process holds"), second.hold():
        pass
    with second.hold():
        pass
    first.close()
    second.close()


@pytest.mark.parametrize("text", ["\ud800", "ok\udfff"])
def test_text_that_is_not_unicode_is_refused_whole(ledger: Ledger, text: str) -> None:
    with pytest.raises(LedgerError, match="not Unicode"):
        ledger.append(Event(kind=Kind.SANDBOX_CREATED, domain=text))
    assert ledger.append(NOTE).seq == 2


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_a_body_that_is_not_json_is_refused(ledger: Ledger, value: object) -> None:
    with pytest.raises(LedgerError, match="cannot be written as JSON"):
        ledger.append(Event(kind=Kind.SANDBOX_CREATED, body={"value": value}))


def test_an_oversized_body_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="the limit is 16777216"):
        ledger.append(Event(kind=Kind.SANDBOX_CREATED, body={"value": "x" * 2**24}))


def test_many_threads_may_open_a_new_ledger_at_once(path: Path) -> None:
    names: list[str] = []

    def first() -> None:
        with Ledger.open(path) as ledger:
            names.append(ledger.ledger_id)

    threads = [threading.Thread(target=first) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
    assert verify(path).events == 1
