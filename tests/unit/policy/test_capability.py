"""The words and the rule."""

from itertools import product

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.policy.capability import (
    ALL,
    NONE,
    Capability,
    from_bits,
    ordered,
    parse,
    show,
    to_bits,
)
from trilemma.policy.rule import Violation, violation

sets = st.frozensets(st.sampled_from(Capability))


@given(sets)
def test_a_set_survives_the_ledger(capabilities: frozenset[Capability]) -> None:
    assert from_bits(to_bits(capabilities)) == capabilities


def test_the_bits_are_part_of_the_ledgers_format() -> None:
    assert [to_bits(frozenset({c})) for c in Capability] == [1, 2, 4]
    assert (to_bits(NONE), to_bits(ALL)) == (0, 7)


@pytest.mark.parametrize("bits", [-1, 8, 255])
def test_unknown_bits_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="not a capability set"):
        from_bits(bits)


def test_capabilities_are_read_as_people_write_them() -> None:
    assert parse(["code", "files"]) == {Capability.CODE, Capability.FILES}
    assert parse([]) == NONE


@pytest.mark.parametrize("names", [["Files"], ["all"], ["*"], [""], ["files "], ["\u0441ode"]])
def test_nothing_else_is_a_capability(names: list[str]) -> None:
    with pytest.raises(SpecError, match=r"^unknown capability .*; the three are"):
        parse(names)


def test_a_bare_word_is_not_a_list() -> None:
    with pytest.raises(SpecError, match="must be a list"):
        parse("code")


def test_sets_are_shown_in_one_order() -> None:
    assert show(ALL) == "{files, internet, code}"
    assert show(NONE) == "{}"
    assert ordered(frozenset({Capability.CODE, Capability.FILES})) == ("files", "code")


@given(sets, sets, st.none() | sets)
def test_the_rule_holds_exactly_where_two_are_enough(
    held: frozenset[Capability],
    taking: frozenset[Capability],
    grants: frozenset[Capability] | None,
) -> None:
    after = held | taking
    broken = violation(held, taking, grants)
    assert (broken is Violation.THIRD_CAPABILITY) is (after == ALL)
    assert (broken is None) is (after != ALL and (grants is None or after <= grants))


def test_taking_nothing_never_adds() -> None:
    for first, second in product(Capability, repeat=2):
        assert violation(frozenset({first, second}), NONE, None) is None
