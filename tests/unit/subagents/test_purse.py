"""What a tree of purses may spend: the bound, and what happens without each part of it."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from trilemma.errors import Cancelled, LimitReached
from trilemma.inference.messages import Usage
from trilemma.subagents.account import Account
from trilemma.subagents.budget import Purse
from trilemma.subagents.limits import UNLIMITED, RunLimits, Spent

CENT = Usage(6, 4, 0, 0.01)


def limits(**some: Any) -> RunLimits:
    return RunLimits(**({"steps": None} | some))


def step(purse: Purse, usage: Usage = CENT) -> None:
    purse.begin_step()
    purse.charge(usage)


@pytest.mark.parametrize(
    ("limit", "usage", "name", "text"),
    [
        (limits(steps=1), Usage(), "steps", r"^the limit of 1 steps is used up$"),
        (limits(tokens=10), CENT, "tokens", r"^the limit of 10 tokens is used up \(10 tokens used"),
        (limits(usd=0.01), CENT, "usd", r"^the limit of \$0.01 is used up \(\$0.01 used\)$"),
        (
            limits(usd=1.0),
            Usage(priced=False),
            "usd",
            r"cannot be kept: a model has no known price",
        ),
    ],
)
def test_the_limit_that_is_used_up_is_named(
    limit: RunLimits, usage: Usage, name: str, text: str
) -> None:
    purse = Purse(limit)
    step(purse, usage)
    with pytest.raises(LimitReached, match=text) as raised:
        purse.begin_step()
    assert raised.value.limit == name
    assert purse.spent.steps == 1


def test_the_text_says_whose_limit_it_is() -> None:
    lead = Purse(limits(steps=2), owner="lead")
    child = Purse(limits(steps=9), lead, owner="child")
    step(child)
    step(child)
    with pytest.raises(LimitReached, match=r"^the limit of 2 steps of 'lead' is used up$"):
        child.begin_step()


def test_everything_is_charged_to_all_above() -> None:
    lead = Purse(UNLIMITED)
    middle = lead.carve(limits(steps=5))
    leaf = Purse(UNLIMITED, middle)
    step(leaf)
    assert lead.spent == middle.spent == leaf.spent == Spent(1, CENT)
    assert middle.remaining().steps == leaf.remaining().steps == 4


def test_what_is_set_aside_is_nobody_elses_and_what_is_left_of_it_goes_back() -> None:
    lead = Purse(limits(steps=10, usd=0.10))
    child = lead.carve(limits(steps=7, usd=0.05))
    assert lead.remaining().steps == 3
    step(child)
    assert lead.remaining().steps == 3
    for _ in range(3):
        step(lead)
    with pytest.raises(LimitReached, match=r"used up \(4 steps|used up \(6 steps set aside"):
        lead.begin_step()
    child.close()
    assert lead.remaining().steps == 6
    assert lead.remaining().usd == pytest.approx(0.06)
    child.close()
    assert lead.remaining().steps == 6


def test_more_than_is_left_cannot_be_set_aside() -> None:
    lead = Purse(limits(steps=10, tokens=100), owner="lead")
    lead.carve(limits(steps=8))
    with pytest.raises(LimitReached, match=r"3 steps were asked for, and of .* only 2 steps") as no:
        lead.carve(limits(tokens=50, steps=3))
    assert no.value.limit == "steps"
    assert lead.remaining().tokens == 100, "what was set aside before the refusal is back"


def test_what_is_set_aside_reaches_the_first_limit_above() -> None:
    top = Purse(limits(steps=10))
    child = top.carve(UNLIMITED).carve(limits(steps=8))
    assert top.remaining().steps == 2
    step(child)
    assert top.remaining().steps == 2
    child.close()
    assert top.remaining().steps == 9


@pytest.mark.parametrize("used", [0, 3, 5])
@pytest.mark.parametrize("between", [UNLIMITED, limits(steps=6)], ids=["drawn", "carved"])
def test_what_is_sealed_never_comes_back(used: int, between: RunLimits) -> None:
    """Whatever it used, and whoever stands between, those above have the same left at its end."""
    top = Purse(limits(steps=10))
    middle = top.carve(between)
    child = middle.carve(limits(steps=5))
    child.seal()
    for _ in range(used):
        step(child)
    for purse in (child, middle):
        purse.close()
    assert top.remaining().steps == 5
    assert top.spent.steps == used


def test_delegating_does_not_widen() -> None:
    """The attack: spend through grandchildren, each with generous limits of its own."""
    assert _steps_through_grandchildren() == 10


def test_charging_only_the_child_passes_the_parents_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage twin: without charging those above, delegation launders the budget."""
    monkeypatch.setattr(Account, "chain", lambda account: iter([account]))
    assert _steps_through_grandchildren() == 100


def _steps_through_grandchildren() -> int:
    lead = Purse(limits(steps=10))
    made = 0
    for _ in range(10):
        grandchild = Purse(limits(steps=50), Purse(limits(steps=50), lead))
        for _ in range(10):
            try:
                grandchild.begin_step()
            except LimitReached:
                return made
            made += 1
    return made


def test_nothing_begins_after_the_end() -> None:
    lead = Purse(UNLIMITED)
    child = Purse(UNLIMITED, lead)
    child.begin_step()
    lead.close()
    for act in (child.begin_step, child.check_time, lambda: child.carve(UNLIMITED)):
        with pytest.raises(Cancelled):
            act()
    assert not child.take_bytes(1)
    assert child.hold_bytes(1) == 0
    child.charge(CENT)
    assert lead.spent.usage == CENT, "what was under way is paid for"


def test_time_ends_with_the_earliest_above() -> None:
    now = 100.0
    lead = Purse(limits(seconds=10.0), owner="lead", clock=lambda: now)
    child = lead.carve(limits(seconds=60.0))
    assert child.remaining().seconds == 10
    child.begin_step()
    now = 110.0
    with pytest.raises(LimitReached, match=r"^the limit of 10 seconds of 'lead' is used up$") as no:
        child.check_time()
    assert no.value.limit == "seconds"


def test_bytes_are_paid_before_they_leave() -> None:
    lead = Purse(limits(bytes_out=100))
    child, other = lead.carve(limits(bytes_out=60)), Purse(UNLIMITED, lead)
    assert not other.take_bytes(41)
    assert other.take_bytes(40)
    assert not child.take_bytes(61)
    assert child.take_bytes(60)
    assert lead.spent.bytes_out == 100
    child.return_bytes(60)
    child.close()
    assert other.take_bytes(60)


def test_a_tunnel_holds_half_of_much_and_all_of_little() -> None:
    purse = Purse(limits(bytes_out=1_000_000))
    assert purse.hold_bytes(10**9) == 500_000
    purse.return_bytes(500_000)
    assert purse.hold_bytes(1000) == 1000
    purse.return_bytes(1000 - 10)
    assert purse.spent.bytes_out == 10
    assert Purse(limits(bytes_out=5000)).hold_bytes(10**9) == 5000
    assert Purse(UNLIMITED).hold_bytes(10**9) == 10**9


def test_a_run_that_goes_on_has_spent_already() -> None:
    purse = Purse(limits(steps=3, usd=1.0), spent=Spent(2, CENT, 7))
    assert purse.spent == Spent(2, CENT, 7)
    step(purse)
    with pytest.raises(LimitReached):
        purse.begin_step()


@pytest.mark.parametrize("carved", [True, False])
def test_threads_never_pass_the_bound(carved: bool) -> None:
    """Steps exactly; tokens up to the limit, and then what was under way."""
    lead = Purse(limits(steps=400, tokens=3000))
    own = limits(steps=40, tokens=400) if carved else UNLIMITED
    lock, most, tokens = threading.Lock(), 0, 0
    flying: dict[int, int] = {}

    def spend(number: int) -> None:
        nonlocal most, tokens
        for _ in range(200):
            try:
                child = lead.carve(own)
            except LimitReached:
                return
            try:
                while True:
                    child.begin_step()
                    with lock:
                        flying[number] = 10
                        most = max(most, sum(flying.values()))
                    child.charge(CENT)
                    with lock:
                        del flying[number]
                        tokens += 10
            except LimitReached:
                pass
            finally:
                child.close()

    threads = [threading.Thread(target=spend, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = lead.spent
    assert spent.steps <= 400
    assert spent.tokens == tokens
    assert spent.tokens < 3000 + most
    assert carved or spent.tokens >= 3000


@dataclass(eq=False)
class Model:
    """What a purse should say, counted in the most naive way."""

    purse: Purse
    parent: "Model | None"
    limit: RunLimits
    steps: int = 0
    tokens: int = 0
    out: int = 0
    usage_under_way: int = 0
    overrun: int = 0
    """Most that was under way below it while its tokens were used up."""
    under_way: list[int] = field(default_factory=list)
    closed: bool = False

    def chain(self) -> "list[Model]":
        return [self, *(self.parent.chain() if self.parent else [])]


small = st.none() | st.integers(1, 12)


class Purses(RuleBasedStateMachine):
    """Random trees of purses; every bound holds after every act."""

    purses: Bundle[Model] = Bundle("purses")

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Model] = []

    @initialize(target=purses, steps=small, tokens=small, out=small)
    def root(self, steps: int | None, tokens: int | None, out: int | None) -> Model:
        return self._add(None, RunLimits(steps, tokens, None, None, out), carve=False)

    @rule(target=purses, parent=purses, steps=small, tokens=small, out=small, carve=st.booleans())
    def child(
        self, parent: Model, steps: int | None, tokens: int | None, out: int | None, carve: bool
    ) -> Any:
        try:
            return self._add(parent, RunLimits(steps, tokens, None, None, out), carve=carve)
        except (LimitReached, Cancelled):
            return multiple()

    @rule(of=purses, tokens=st.integers(0, 9))
    def begin(self, of: Model, tokens: int) -> None:
        try:
            of.purse.begin_step()
        except (LimitReached, Cancelled):
            return
        of.under_way.append(tokens)
        for each in of.chain():
            assert each.limit.tokens is None or each.tokens < each.limit.tokens
            assert not each.closed
            each.steps += 1
            each.usage_under_way += tokens

    @precondition(lambda self: any(model.under_way for model in self.all))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        of = data.draw(st.sampled_from([model for model in self.all if model.under_way]))
        tokens = of.under_way.pop()
        of.purse.charge(Usage(tokens, 0))
        for each in of.chain():
            # The bound: once the limit is used up, only what was under way then is added.
            before = each.limit.tokens is not None and each.tokens < each.limit.tokens
            if before and each.tokens + tokens >= (each.limit.tokens or 0):
                each.overrun = each.usage_under_way
            each.tokens += tokens
            each.usage_under_way -= tokens

    @rule(of=purses, count=st.integers(0, 9))
    def send(self, of: Model, count: int) -> None:
        if of.purse.take_bytes(count):
            for each in of.chain():
                each.out += count

    @rule(of=purses)
    def close(self, of: Model) -> None:
        of.purse.close()
        of.closed = True

    @invariant()
    def bounded(self) -> None:
        for each in self.all:
            spent = each.purse.spent
            assert (spent.steps, spent.tokens, spent.bytes_out) == (
                *(each.steps, each.tokens, each.out),
            )
            assert each.limit.steps is None or each.steps <= each.limit.steps
            assert each.limit.bytes_out is None or each.out <= each.limit.bytes_out
            if each.limit.tokens is not None:
                assert each.tokens < each.limit.tokens + max(1, each.overrun)

    def teardown(self) -> None:
        """When all below are closed, everything that was not used is there again."""
        for each in reversed(self.all):
            if each.parent is not None:
                each.purse.close()
        for each in self.all[:1]:
            if each.closed or each.limit.steps is None:
                continue
            assert each.purse.remaining().steps == each.limit.steps - each.steps

    def _add(self, parent: Model | None, own: RunLimits, *, carve: bool) -> Model:
        above = parent.purse if parent else None
        purse = above.carve(own) if above and carve else Purse(own, above)
        self.all.append(Model(purse, parent, own))
        return self.all[-1]


TestPurses = Purses.TestCase
TestPurses.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
