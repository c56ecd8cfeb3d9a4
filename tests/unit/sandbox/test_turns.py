import threading
from concurrent.futures import CancelledError

import pytest

from trilemma.sandbox.turns import Turns


class Stage:
    """Work that waits until it may go on, and remembers in which order it was begun."""

    def __init__(self, workers: int) -> None:
        self.turns = Turns(workers, "test")
        self.begun: list[str] = []
        self.gate = threading.Event()
        self.first = threading.Event()

    def submit(self, party: str, name: str) -> None:
        self.turns.submit(party, lambda: self._work(name))

    def _work(self, name: str) -> None:
        self.begun.append(name)
        self.first.set()
        assert self.gate.wait(10)

    def finish(self) -> list[str]:
        done = self.turns.submit("last", lambda: None)
        self.gate.set()
        done.result(10)
        return self.begun


def test_who_asks_for_twenty_keeps_nobody_waiting() -> None:
    stage = Stage(1)
    stage.submit("busy", "under way")
    assert stage.first.wait(10)
    for number in range(20):
        stage.submit("greedy", f"greedy {number}")
    stage.submit("modest", "modest")
    stage.submit("other", "other")
    assert stage.finish()[:5] == ["under way", "greedy 0", "modest", "other", "greedy 1"]
    stage.turns.close()


def test_each_party_is_served_in_its_own_order() -> None:
    stage = Stage(1)
    for number in range(5):
        stage.submit("a", f"a{number}")
        stage.submit("b", f"b{number}")
    stage.finish()
    stage.turns.close()
    for party in "ab":
        mine = [name for name in stage.begun if name.startswith(party)]
        assert mine == sorted(mine)


def test_what_waits_can_be_cancelled_and_what_runs_is_finished() -> None:
    stage = Stage(1)
    stage.submit("a", "under way")
    assert stage.first.wait(10)
    waiting = stage.turns.submit("a", lambda: None)
    assert waiting.cancel()
    threading.Timer(0.01, stage.gate.set).start()
    other = stage.turns.submit("b", lambda: None)
    stage.turns.close()
    assert stage.begun == ["under way"]
    with pytest.raises(CancelledError):
        waiting.result()
    assert other.done()


def test_what_fails_reaches_who_asked_and_nobody_else() -> None:
    turns = Turns(1, "test")

    def fail() -> None:
        raise ValueError("mine")

    failing = turns.submit("a", fail)
    working = turns.submit("a", lambda: 1)
    assert working.result(10) == 1
    with pytest.raises(ValueError, match="mine"):
        failing.result()
    turns.close()
