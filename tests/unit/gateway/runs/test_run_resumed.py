"""A run is killed at every point of its life, and goes on: no call is ever made twice."""

from pathlib import Path

import pytest
from tests.unit.gateway.runs.world import World, counting, mortal_write

from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.runs import journal, loading
from trilemma.gateway.runs.log import RunLog
from trilemma.subagents.outcome import Outcome, State

TASK = counting(1, 2) + ' AND CALL count {"n": 3}'


def answers(outcome: Outcome) -> list[str]:
    return [m.content for m in outcome.messages if m.role == "tool"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(journal, "_write", mortal_write(made))
    return made


def killed_everywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[World]:
    """One world for each point at which a run can be killed; each has gone on to the end."""
    done: list[World] = []
    while True:
        world = World(root / str(len(done)), dies_at=len(done))
        world.root.mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(journal, "_write", mortal_write(world))
            if world.begin(TASK):
                return done
            world.dies_at = None
            world.outcome = world.resume() if began(world) else None
        done.append(world)


def began(world: World) -> bool:
    """Whether there is a checkpoint to go on from."""
    with world.ledger() as ledger:
        return ledger.newest_of_call(world.run) is not None


def test_killed_at_any_point_a_run_goes_on_and_repeats_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = killed_everywhere(tmp_path, monkeypatch)
    assert len(worlds) > 40
    ended = [w.outcome for w in worlds if w.outcome is not None]
    assert len(ended) > 35
    assert all(outcome.state is State.DONE for outcome in ended)
    unknown = 0
    for world in worlds:
        assert len(world.effects) == len(set(world.effects)), world.dies_at
        verify(world.root / "ledger.db")
        if world.outcome is None:
            assert world.effects == []
            continue
        for number, text in enumerate(answers(world.outcome), 1):
            if "nobody saw how it ended" in text:
                unknown += 1
            else:
                assert text == f"counted {number}"
                assert number in world.effects
    assert 3 <= unknown < len(worlds) / 2


def test_without_names_that_follow_and_without_a_look_calls_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_answer", lambda name, talk, ledger: talk.results.get(name))
    monkeypatch.setattr(RunLog, "name", lambda self, call: None)
    worlds = killed_everywhere(tmp_path, monkeypatch)
    assert any(len(world.effects) > len(set(world.effects)) for world in worlds)


def test_names_that_follow_alone_keep_a_call_from_being_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_answer", lambda name, talk, ledger: talk.results.get(name))
    for world in killed_everywhere(tmp_path, monkeypatch):
        assert len(world.effects) == len(set(world.effects))


def test_what_was_used_stays_used(world: World) -> None:
    world.dies_at = 30
    assert world.begin(counting(1, 2, 3, 4), limits={"steps": 3}) is None
    world.dies_at = None
    outcome = world.resume(limits={"steps": 3})
    assert outcome is not None
    assert outcome.stop == "steps"
    assert sum(m.role == "assistant" for m in outcome.messages) <= 3


def test_a_lost_reply_was_paid_for(world: World) -> None:
    """It is asked again, and counts again: what the ledger shows after the checkpoint counts."""
    budgets = set()
    for dies_at in range(8, 40):
        again = World(world.root / str(dies_at), dies_at=dies_at)
        again.root.mkdir()
        if again.begin(counting(1, 2)) is not None or not began(again):
            continue
        again.dies_at = None
        with again.ledger() as ledger:
            asked = sum(1 for _ in ledger.events(kind=Kind.MODEL_RESERVED))
            place = again.runs.take(again.run)
            loaded = loading.load(place, ledger)
            place.release()
        assert loaded.progress.spent.steps == asked
        budgets.add(asked)
    assert len(budgets) > 1


def test_a_run_that_is_done_keeps_nothing_of_what_it_said(world: World) -> None:
    assert world.begin(counting(1)) is not None
    assert sorted(path.name for path in world.place.iterdir()) == ["lock", "status.json"]


def killed_again(world: World) -> list[tuple[int, int]]:
    """What a run counts as its steps, and how often its model was asked, after each kill."""
    world.dies_at = 30
    assert world.begin(counting(1, 2, 3, 4)) is None
    seen: list[tuple[int, int]] = []
    for dies_at in range(2, 12):
        world.points, world.dies_at = 0, dies_at
        assert world.resume() is None
        with world.ledger() as ledger:
            asked = sum(1 for _ in ledger.events(kind=Kind.MODEL_RESERVED))
            place = world.runs.take(world.run)
            loaded = loading.load(place, ledger)
            loaded.journal.close()
            place.release()
        seen.append((loaded.progress.spent.steps, asked))
    return seen


def test_what_was_used_before_the_next_checkpoint_stays_used_however_often_it_dies(
    world: World,
) -> None:
    seen = killed_again(world)
    assert all(steps == asked for steps, asked in seen)
    assert seen[-1] > seen[0]


def test_twin_by_the_session_of_the_checkpoint_alone_it_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_the_checkpoint(session: str, run: str, known: object, ledger: Ledger) -> bool:
        newest = ledger.newest_of_call(run)
        return newest is not None and newest.event.session == session

    monkeypatch.setattr(loading, "_belongs", of_the_checkpoint)
    assert any(steps < asked for steps, asked in killed_again(world))
