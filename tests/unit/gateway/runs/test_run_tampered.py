"""What was kept of a run counts only as far as the ledger vouches for it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.gateway.runs.world import World, counting, mortal_write

from trilemma.errors import LedgerTampered, SpecError
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.runs import journal
from trilemma.gateway.runs.places import RunPlace, Runs, Status
from trilemma.subagents.outcome import State

ORDER = "\n".join(f'CALL count {{"n": {n}}}' for n in (661, 662, 663, 664, 665, 666))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A run that was killed in the middle."""
    made = World(tmp_path, dies_at=41)
    monkeypatch.setattr(journal, "_write", mortal_write(made))
    assert made.begin(counting(1, 2, 3, 4, 5)) is None
    assert made.effects == [1, 2]
    made.dies_at = None
    return made


def segment(world: World) -> Path:
    (path,) = world.place.glob("*.steps")
    return path


def flip_a_byte(world: World) -> None:
    data = bytearray(segment(world).read_bytes())
    data[data.index(b"counted")] ^= 1
    segment(world).write_bytes(data)


def rewrite(world: World) -> None:
    """Every digest in the file is right; only the ledger knows better."""
    before, lines = journal._GENESIS, []
    for entry in list(journal.entries(segment(world))):
        record = json.loads(json.dumps(entry.record).replace("counted 1", json.dumps(ORDER)[1:-1]))
        before, line = journal._line(before, record)
        lines.append(line)
    segment(world).write_bytes(b"".join(lines))


def roll_back(world: World) -> None:
    lines = segment(world).read_bytes().splitlines(keepends=True)
    segment(world).write_bytes(b"".join(lines[:2]))


def take_away(world: World) -> None:
    segment(world).unlink()


def swap(world: World) -> None:
    """The steps of another run, with which the ledger agrees, but not as this one's."""
    other = world.root / "other"
    other.mkdir()
    place = segment(world)
    another = World(other, dies_at=30)
    another.begin(counting(7, 8, 9))
    shutil.copy(segment(another), place)


@pytest.mark.parametrize("change", [flip_a_byte, rewrite, roll_back, take_away, swap])
def test_a_changed_checkpoint_is_refused(world: World, change: Callable[[World], None]) -> None:
    change(world)
    with pytest.raises(LedgerTampered, match="not what the ledger vouches for"):
        world.resume()
    (status,) = world.runs
    assert (status.state, status.resumable) == ("refused", True)
    assert "vouches" in status.why
    assert world.effects == [1, 2]


def test_without_the_ledgers_word_a_rewritten_one_is_obeyed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(world)
    *_, last = journal.entries(segment(world))
    newest = Ledger.newest_of_call

    def believing(ledger: Ledger, call: str) -> object:
        found = newest(ledger, call)
        if found is None or found.event.kind is not Kind.RUN_CHECKPOINTED:
            return found
        body = {**found.event.body, "digest": last.digest}
        return replace(found, event=replace(found.event, body=body))

    monkeypatch.setattr(Ledger, "newest_of_call", believing)
    assert world.resume() is not None
    assert 666 in world.effects


@pytest.mark.parametrize("torn", [b"", b"{", b"0" * 40, b"0" * 64 + b" {}\n"])
def test_what_was_never_committed_does_not_count(world: World, torn: bytes) -> None:
    with open(segment(world), "ab") as file:
        file.write(torn)
    outcome = world.resume()
    assert outcome is not None
    assert outcome.state is State.DONE
    assert sorted(set(world.effects)) == sorted(world.effects)


def test_another_agent_does_not_go_on_with_it(world: World) -> None:
    with pytest.raises(SpecError, match=r"the agent has changed since \(instructions\)"):
        world.resume(instructions="Be bold.")
    (status,) = world.runs
    assert status.state == "refused"
    assert "changed" in status.why
    outcome = world.resume()
    assert outcome is not None
    assert outcome.state is State.DONE


def test_a_run_that_ended_for_good_does_not_go_on(world: World) -> None:
    assert world.resume() is not None
    with pytest.raises(SpecError, match=r"has ended \(done\)"):
        world.resume()


def test_two_cannot_work_on_one_run(world: World) -> None:
    place = world.runs.take(world.run)
    with pytest.raises(SpecError, match="is running"):
        world.resume()
    place.release()


def test_who_comes_second_does_not_go_on_with_what_the_first_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes the run to its end while this one is about to lock it."""
    lock, others = Runs._locked, [world.resume]

    def late(runs: Runs, run: str, status: Status) -> RunPlace:
        if others:
            others.pop()()
        return lock(runs, run, status)

    monkeypatch.setattr(Runs, "_locked", late)
    with pytest.raises(SpecError, match=r"has ended \(done\)"):
        world.resume()
    (status,) = world.runs
    assert status.state == "done"
    assert world.effects == sorted(set(world.effects))


def test_what_a_crash_left_of_a_file_that_was_just_begun_is_deleted_with_the_rest(
    world: World,
) -> None:
    shutil.copy(segment(world), world.place / "00000002.new")
    assert world.resume() is not None
    assert sorted(path.name for path in world.place.iterdir()) == ["lock", "status.json"]


@pytest.mark.parametrize("name", ["run_", "../ledger.db", "run_0123456789abcdef", ""])
def test_a_name_that_is_none_is_refused(world: World, name: str) -> None:
    with pytest.raises(SpecError, match="there is no run"):
        world.runs.take(name)


def test_it_is_its_owners_alone(world: World) -> None:
    assert world.place.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in world.place.iterdir())


def test_a_forgotten_run_is_gone(world: World) -> None:
    world.runs.forget(world.run)
    assert list(world.runs) == []
