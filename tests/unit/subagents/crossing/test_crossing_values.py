"""Every type against an oracle that lists its values by other means."""

import datetime
import itertools
import json
import re
import string
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from trilemma.errors import CrossingError
from trilemma.subagents.crossing.answers import FAILURES, answer_bits, ask_bits
from trilemma.subagents.crossing.compound import crossing_type

PATTERNS = [
    "",
    "a|b",
    "[ab]{1,2}",
    "(a|ab)(b|bb)?",
    "a*",
    "(ab?){2}",
    r"\d?[a-b]",
    "[ab0]+",
    "(|a)b",
]
DAYS = st.dates(datetime.date(2023, 12, 30), datetime.date(2024, 3, 2))
Form = Any


def _ordered(pair: tuple[Any, Any]) -> list[Any]:
    return sorted(pair)


integers = st.tuples(st.integers(-6, 6), st.integers(-6, 6)).map(
    lambda p: {"integer": dict(zip(("minimum", "maximum"), _ordered(p), strict=True))}
)
decimals = st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 3)).map(
    lambda p: {
        "decimal": {
            "minimum": min(p[0], p[1]) / 10 ** p[2],
            "maximum": max(p[0], p[1]) / 10 ** p[2],
            "places": p[2],
        }
    }
)
dates = st.tuples(DAYS, DAYS).map(lambda p: {"date": {"from": str(min(p)), "to": str(max(p))}})
words = st.lists(st.sampled_from(["a", "b", "A b", "true", "0"]), min_size=1, unique=True)
scalars = (
    st.just("bool")
    | words.map(lambda names: {"enum": names})
    | st.lists(st.sampled_from(["x", "y.1", "a/b"]), min_size=1, unique=True).map(
        lambda names: {"identifier": names}
    )
    | integers
    | decimals
    | dates
    | st.tuples(st.sampled_from(PATTERNS), st.integers(1, 4)).map(
        lambda p: {"text": {"pattern": p[0], "max_length": p[1] + 1}}
    )
)
small = st.one_of(st.just("bool"), st.just({"enum": ["a", "b", "c"]}), integers)
compounds = (
    st.dictionaries(
        st.sampled_from(["p", "q", "r"]), small | small.map(lambda f: {"optional": f}), min_size=1
    ).map(lambda members: {"record": members})
    | scalars.map(lambda form: {"optional": form})
    | st.tuples(small, st.integers(1, 2)).map(lambda p: {"list": {"of": p[0], "max_items": p[1]}})
)
forms = scalars | compounds
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-8, 8)
    | st.floats()
    | st.sampled_from(
        ["a", "b", "ab", "\u0430", "a ", "A", "x", "0", "2024-02-29", "2024-2-1", "20240201"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["p", "q", "r", "s"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def members(form: Form) -> list[Any]:
    """All values of a small type, in canonical form."""
    if form == "bool":
        return [False, True]
    ((kind, inside),) = form.items()
    if kind in ("enum", "identifier"):
        return list(inside)
    if kind == "integer":
        return list(range(inside["minimum"], inside["maximum"] + 1))
    if kind == "decimal":
        scale = 10 ** inside["places"]
        ends = (round(inside["minimum"] * scale), round(inside["maximum"] * scale))
        return [step / scale for step in range(ends[0], ends[1] + 1)]
    if kind == "date":
        first, last = (datetime.date.fromisoformat(inside[end]) for end in ("from", "to"))
        days = range((last - first).days + 1)
        return [str(first + datetime.timedelta(days=day)) for day in days]
    if kind == "text":
        return [t for t in _texts(inside["max_length"]) if re.fullmatch(inside["pattern"], t)]
    if kind == "optional":
        return [None, *members(inside)]
    if kind == "list":
        of = members(inside["of"])
        lengths = range(inside["max_items"] + 1)
        return [list(items) for n in lengths for items in itertools.product(of, repeat=n)]
    parts = itertools.product(*(members(part) for part in inside.values()))
    return [dict(zip(inside, values, strict=True)) for values in parts]


def _texts(longest: int) -> list[str]:
    letters = "ab" + (string.digits if longest <= 2 else "0")
    return ["".join(t) for n in range(longest + 1) for t in itertools.product(letters, repeat=n)]


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=False)


@settings(max_examples=150, deadline=None)
@given(forms)
def test_the_capacity_is_never_less_than_the_values_there_are(form: Form) -> None:
    type_, values = crossing_type(form, "test"), members(form)
    read = {_key(type_.read(value)) for value in values}
    assert len(read) == len(values) <= type_.values <= 2**type_.bits
    if "text" not in json.dumps(form):
        assert len(values) == type_.values
    assert type_.bits == 0 or 2 ** (type_.bits - 1) < type_.values
    assert 2 ** answer_bits(type_) >= len(values) + len(FAILURES)


@settings(max_examples=150, deadline=None)
@given(forms, st.data())
def test_a_value_reads_as_itself_also_after_a_journey_through_json(
    form: Form, data: st.DataObject
) -> None:
    type_, values = crossing_type(form, "test"), members(form)
    if not values:
        return
    value = data.draw(st.sampled_from(values))
    assert _key(type_.read(value)) == _key(value)
    assert _key(type_.read(json.loads(_key(value)))) == _key(value)


@settings(max_examples=400, deadline=None)
@given(forms, junk)
def test_whatever_is_accepted_is_one_of_the_values(form: Form, value: Any) -> None:
    type_ = crossing_type(form, "test")
    try:
        read = type_.read(value)
    except CrossingError:
        return
    if "\\d" not in json.dumps(form):
        assert _key(read) in {_key(member) for member in members(form)}


@settings(max_examples=100, deadline=None)
@given(forms)
def test_a_type_is_read_as_it_is_written(form: Form) -> None:
    type_ = crossing_type(form, "test")
    again = crossing_type(json.loads(json.dumps(type_.form)), "test")
    assert (again, again.digest) == (type_, type_.digest)
    assert type_.model_dump() == type_.form
    assert "\n" not in type_.describe()


@pytest.mark.parametrize(("choices", "bits"), [(1, 2), (2, 3), (3, 4), (4, 4)])
def test_that_a_child_is_asked_at_all_and_which_is_counted(choices: int, bits: int) -> None:
    assert ask_bits(crossing_type("bool", "test"), choices) == bits


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 12))
def test_all_ways_to_spend_a_budget_tell_no_more_than_one_bit_beyond_it(
    values: int, children: int, budget: int
) -> None:
    type_ = crossing_type({"integer": {"minimum": 1, "maximum": values}}, "test")
    price = ask_bits(type_, children)
    histories = sum((values * children) ** asks for asks in range(budget // price + 1))
    assert histories <= 2 ** (budget + 1)
