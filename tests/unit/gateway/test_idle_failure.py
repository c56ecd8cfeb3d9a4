"""An engine that fails while an idle session is put to rest."""

from collections.abc import Callable
from typing import Any, cast

from trilemma.errors import SandboxError
from trilemma.gateway.alarm import Alarm
from trilemma.gateway.idling import Idling, Sandboxes


class Held:
    """Counts how often what is held was taken, less how often it was let go."""

    def __init__(self) -> None:
        self.times = 0

    def begin(self) -> None:
        self.times += 1

    take_again = begin

    def give_back(self) -> None:
        self.times -= 1

    leave = give_back


class Later:
    """Keeps what is to be done later."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.due.append(what)


class Member:
    """A sandbox that cannot be destroyed the first time."""

    def __init__(self) -> None:
        self.fails = True

    def rest(self) -> None:
        if self.fails:
            self.fails = False
            raise SandboxError("the engine does not answer")

    def wake(self) -> None:
        pass


def idle() -> tuple[Held, Later, Idling, Sandboxes]:
    """A session whose time has come, and whose sandbox could not be destroyed."""
    held, later = Held(), Later()
    idling = Idling(held, cast("Alarm", later), 0.0)
    member = cast("Any", Member())
    idling.join(member)
    later.due.pop()()
    return held, later, idling, member


def test_what_a_sandbox_left_over_shows_stays_held_and_is_tried_again() -> None:
    held, later, _, _ = idle()
    assert held.times == 1
    later.due.pop()()
    assert held.times == 0


def test_what_could_not_be_given_back_is_let_go_when_the_session_ends() -> None:
    held, _, idling, member = idle()
    idling.leave(member)
    assert held.times == 0


def test_twin_a_session_taken_for_asleep_keeps_it_for_ever() -> None:
    held, _, idling, member = idle()
    idling._asleep = True
    idling.leave(member)
    assert held.times == 1
