"""``kill -9`` of a gateway at random moments of eight sessions with real containers.

Whatever the moment: nothing is left behind, the ledger verifies, no label says less than what
happened, no call ran that was not recorded, and none counts as done that was not.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.wreck import (
    Wreck,
    eventually,
    kill_and_wait,
    nothing_but_the_truth,
    recovered,
)

from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

Make = Callable[..., Any]

ROUNDS = 10
KILLS = 10


@pytest.fixture
def wreck(settings: Any, origin: Make, tmp_path: Path) -> Wreck:
    return Wreck.below(tmp_path, settings, origin())


@pytest.fixture
def start(wreck: Wreck) -> Iterator[Callable[[str], int]]:
    """Starts gateways; their process ids."""
    with wreck.gateways() as begin:
        yield begin


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_killed_gateway_leaves_the_truth_and_nothing_else(
    number: int, wreck: Wreck, start: Callable[[str], int], engine: Any
) -> None:
    dice = random.Random(number)
    unknown = 0
    for kill in range(KILLS):
        gateway = start(f"r{number}k{kill}")
        wait_for_a_moment(kill, wreck, dice)
        kill_and_wait(gateway, wreck.settings.runtime, engine)
        assert list(wreck.temporary.iterdir()) == []
        unknown += recovered(wreck)
        nothing_but_the_truth(wreck)
        if kill == 0:
            assert unknown, "a request had arrived, and its call is not unknown"
    assert wreck.files()


def test_sabotage_a_call_that_ran_unrecorded_is_noticed(wreck: Wreck) -> None:
    Ledger.open(wreck.settings.ledger).close()
    nothing_but_the_truth(wreck)
    upper = wreck.settings.layers / "layer-0" / "upper"
    upper.mkdir(parents=True)
    (upper / "r0k0-0-1").touch()
    with pytest.raises(AssertionError, match="never recorded"):
        nothing_but_the_truth(wreck)


def test_sabotage_a_call_that_counts_as_done_and_was_not_is_noticed(wreck: Wreck) -> None:
    with Ledger.open(wreck.settings.ledger) as ledger:
        ledger.append(Event(kind=Kind.CALL_RESERVED, domain="d", call="r0k0-0-1"))
        ledger.append(
            Event(kind=Kind.CALL_COMMITTED, domain="d", call="r0k0-0-1", body={"ok": True})
        )
    with pytest.raises(AssertionError, match="counts as done"):
        nothing_but_the_truth(wreck)


def test_sabotage_a_capability_that_was_used_and_not_taken_is_noticed(wreck: Wreck) -> None:
    with Ledger.open(wreck.settings.ledger) as ledger:
        ledger.append(Event(kind=Kind.CALL_RESERVED, domain="d", call="r0k0-0-1"))
    wreck.server.paths.append("/r0k0-0-1")
    with pytest.raises(AssertionError, match="held"):
        nothing_but_the_truth(wreck)


def wait_for_a_moment(kill: int, wreck: Wreck, dice: random.Random) -> None:
    """While a request is answered, soon after something happened, or at any time from the start."""
    if kill == 0:
        wreck.server.hold = threading.Event()
        assert wreck.server.arrived.wait(60)
        return
    if kill == 1:
        wreck.server.hold.set()
    if kill % 2:
        before = len(wreck.files())
        eventually(lambda: len(wreck.files()) > before, "nothing happens")
    # Not a condition to wait for: the moment is what is drawn by lot.
    time.sleep(dice.uniform(0, 0.7))
