"""Each image is looked at once, and nobody waits for a look at another."""

import threading
from typing import Any

import pytest

from trilemma.sandbox import imagecheck
from trilemma.sandbox.brought import NOTHING, Brought
from trilemma.sandbox.imagecheck import ImageCheck

SECONDS = 5


class Engine:
    """One image is huge; the look at it ends when somebody says so."""

    def __init__(self) -> None:
        self.begun, self.finish = threading.Event(), threading.Event()
        self.looks: list[str] = []

    def look(self, image: str) -> Brought:
        self.looks.append(image)
        if image == "huge":
            self.begun.set()
            assert self.finish.wait(SECONDS)
        return NOTHING


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(imagecheck, "_look", engine.look)
    return engine


def small_while_huge(engine: Engine, check: ImageCheck) -> bool:
    """Whether a small image was usable while a huge one was looked at, by two at once."""
    threads = [threading.Thread(target=check.check, args=("huge",)) for _ in range(2)]
    small = threading.Thread(target=check.check, args=("small",))
    for thread in threads:
        thread.start()
    assert engine.begun.wait(SECONDS)
    small.start()
    small.join(1)
    usable = not small.is_alive()
    engine.finish.set()
    for thread in (*threads, small):
        thread.join()
    return usable


def test_nobody_waits_for_a_look_at_another_image(engine: Engine) -> None:
    assert small_while_huge(engine, ImageCheck())
    assert sorted(engine.looks) == ["huge", "small"]


def test_twin_with_one_turn_for_all_a_huge_image_holds_up_every_session(engine: Engine) -> None:
    class OneTurn(dict[str, Any]):
        def setdefault(self, image: str, lock: Any = None) -> Any:
            return super().setdefault("all", lock)

    check = ImageCheck()
    check._looking = OneTurn()
    assert not small_while_huge(engine, check)
