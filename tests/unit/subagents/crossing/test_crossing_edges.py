"""What looks like a value and is none, and what looks like a type and is none."""

import datetime
import enum
import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from trilemma.errors import CrossingError, SpecError
from trilemma.policy.yamltext import read_yaml
from trilemma.subagents.crossing.base import MAX_BITS
from trilemma.subagents.crossing.compound import CrossingType, crossing_type

INTEGER = {"integer": {"minimum": 0, "maximum": 10}}
DECIMAL = {"decimal": {"minimum": 0, "maximum": 10, "places": 1}}
DATE = {"date": {"from": "2024-01-01", "to": "2024-12-31"}}
TEXT = {"text": {"pattern": "[a-z]{1,4}", "max_length": 4}}
ENUM = {"enum": ["a", "1", "true"]}
RECORD = {"record": {"a": "bool", "b": {"optional": INTEGER}}}
LIST = {"list": {"of": "bool", "max_items": 2}}
NAN, INFINITY = float("nan"), float("inf")


class Sly(str):
    """Equal to a word, and something else besides."""


class Number(enum.IntEnum):
    ONE = 1


REFUSED: list[tuple[Any, Any]] = [
    *[("bool", v) for v in (0, 1, "true", None, [0], 1.0)],
    *[(INTEGER, v) for v in (True, False, 1.0, "1", -1, 11, 10**5000, Number.ONE, NAN, None)],
    *[(DECIMAL, v) for v in (True, "1", 0.25, 10.1, -0.1, NAN, INFINITY, -INFINITY, 1e300, 5e-324)],
    *[(DECIMAL, v) for v in (10**5000, 0.1 + 0.2, Decimal("0.1"), 2**53 + 1)],
    *[(DATE, v) for v in ("2024-02-30", "2023-12-31", "2025-01-01", "20240101", "2024-W01-1")],
    *[(DATE, v) for v in ("2024-1-1", "2024-01-01T00:00", " 2024-01-01", "2024-01-01\n", 20240101)],
    *[
        (DATE, v)
        for v in (
            "\uff12\uff10\uff12\uff14-01-01",
            "+2024-01-01",
            datetime.date(2024, 1, 1),
            "0000-01-01",
        )
    ],
    *[
        (TEXT, v)
        for v in ("", "abcde", "ab\n", "Ab", "\u0430b", "a\u200b", "\uff41", b"ab", Sly("ab"))
    ],
    *[(ENUM, v) for v in ("A", "\u0430", 1, True, "a ", ["a"], Sly("a"), "a\x00")],
    *[(RECORD, v) for v in ({}, {"b": 1}, {"a": 1}, {"a": True, "c": 1})],
    *[(RECORD, v) for v in ([["a", True]], None)],
    *[
        (RECORD, v)
        for v in ({"a": True, "b": 11}, {"a": None}, {"\u0430": True}, {1: True, "a": True})
    ],
    *[(LIST, v) for v in ([True] * 3, [1], (True,), "", {"0": True}, [[True]], None)],
    *[("free", v) for v in (None, 1, "\ud800", "x" * 1_000_001, Sly("x"))],
]


@pytest.mark.parametrize(("form", "value"), REFUSED, ids=range(len(REFUSED)))
def test_what_only_looks_like_a_value_is_refused_in_one_line(form: Any, value: Any) -> None:
    with pytest.raises(CrossingError) as refused:
        crossing_type(form, "test").read(value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_refusal_says_where_what_and_what_fits() -> None:
    type_ = crossing_type({"list": {"of": {"record": {"n": INTEGER}}, "max_items": 2}}, "test")
    with pytest.raises(CrossingError) as refused:
        type_.read([{"n": 3}, {"n": 12}])
    assert str(refused.value) == "[1].n: 12 is not a whole number from 0 to 10"


def test_one_value_has_one_form() -> None:
    assert str(crossing_type(DECIMAL, "test").read(-0.0)) == "0.0"
    assert json.dumps(crossing_type(DECIMAL, "test").read(3)) == "3.0"
    read = crossing_type(RECORD, "test").read
    assert json.dumps(read({"a": True})) == json.dumps(read({"b": None, "a": True}))
    assert list(read({"b": 1, "a": True})) == ["a", "b"]


def test_a_value_that_was_read_does_not_change_with_what_was_given() -> None:
    given = {"a": True}
    read = crossing_type(RECORD, "test").read(given)
    given["a"] = False
    assert read["a"] is True


def test_the_last_day_of_the_calendar_and_leap_days_are_days() -> None:
    type_ = crossing_type({"date": {"from": "0001-01-01", "to": "9999-12-31"}}, "test")
    assert [type_.read(day) for day in ("0001-01-01", "2024-02-29", "9999-12-31")]
    assert type_.values == 3_652_059
    with pytest.raises(CrossingError):
        type_.read("2023-02-29")


NO_TYPES: list[tuple[Any, str]] = [
    ("boolean", "is not a type"),
    (None, "is not a type"),
    (True, "is not a type"),
    ({}, "is not a type"),
    ({"enum": ["a"], "bool": True}, "is not a type"),
    ({"enum": []}, "at least 1 item"),
    ({"enum": ["a", "a"]}, "'a' is there twice"),
    ({"enum": [1]}, "valid string"),
    ({"enum": ["ä"]}, "match pattern"),
    ({"enum": ["a\nb"]}, "match pattern"),
    ({"enum": "ab"}, "valid tuple"),
    ({"identifier": ["a b"]}, "match pattern"),
    ({"integer": {"minimum": 3, "maximum": 2}}, "above maximum"),
    ({"integer": {"minimum": True, "maximum": 2}}, "valid integer"),
    ({"integer": {"minimum": 0, "maximum": 2**53}}, "less than or equal"),
    ({"integer": {"minimum": 0}}, "maximum: missing"),
    ({"integer": {"minimum": 0, "maximum": 1, "step": 2}}, "unknown field"),
    ({"decimal": {"minimum": 0.25, "maximum": 1, "places": 1}}, "more than 1 places"),
    ({"decimal": {"minimum": NAN, "maximum": 1, "places": 1}}, "decimal.minimum"),
    ({"decimal": {"minimum": 0, "maximum": INFINITY, "places": 1}}, "decimal.maximum"),
    ({"decimal": {"minimum": 0, "maximum": "1", "places": 1}}, "must be a number"),
    ({"decimal": {"minimum": 0, "maximum": 2**52, "places": 9}}, "too many digits"),
    ({"date": {"from": "2024-02-30", "to": "2024-03-01"}}, "not a day"),
    ({"date": {"from": "2024-03-02", "to": "2024-03-01"}}, "is after"),
    ({"text": {"pattern": "a", "max_length": 0}}, "greater than or equal"),
    ({"text": {"pattern": "a", "max_length": 10**6}}, "less than or equal"),
    ({"text": {"pattern": "[a-z]{5}", "max_length": 4}}, "fits no text"),
    ({"record": {}}, "at least 1"),
    ({"record": {"a b": "bool"}}, "match pattern"),
    ({"record": {"x": "boole"}}, "record.x: 'boole' is not a type"),
    ({"optional": {"optional": "bool"}}, "optional of an optional"),
    ({"list": {"of": "bool"}}, "max_items: missing"),
    ({"list": {"of": "bool", "max_items": 0}}, "greater than or equal"),
    (
        {"list": {"of": {"text": {"pattern": "[ -~]*", "max_length": 512}}, "max_items": 99}},
        "narrow",
    ),
]


@pytest.mark.parametrize(("form", "why"), NO_TYPES)
def test_a_type_that_is_written_wrong_is_refused_with_its_place(form: Any, why: str) -> None:
    with pytest.raises(SpecError, match=r"^agent\.yaml: ") as refused:
        crossing_type(form, "agent.yaml")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nested_lists_that_are_too_large_are_refused_before_they_are_counted() -> None:
    form: Any = "bool"
    for _ in range(6):
        form = {"list": {"of": form, "max_items": 64}}
    with pytest.raises(SpecError, match=str(MAX_BITS)):
        crossing_type(form, "test")


@pytest.mark.parametrize(
    "form",
    ["free", {"record": {"a": "bool", "b": "free"}}, {"list": {"of": "free", "max_items": 2}}],
)
def test_one_free_member_makes_a_crossing_a_free_one_without_capacity(form: Any) -> None:
    type_ = crossing_type(form, "test")
    assert (type_.free, type_.bits) == (True, 0)


def test_types_come_from_strict_yaml_where_a_key_stands_once() -> None:
    text = "record:\n  day: {date: {from: 2024-01-01, to: 2024-01-31}}\n  ok: bool\n"
    assert crossing_type(read_yaml(text, "a"), "a").values == 62
    with pytest.raises(SpecError, match="duplicate key 'ok'"):
        read_yaml(text + "  ok: free\n", "a")


class Child(BaseModel):
    """A schema with a crossing in it."""

    model_config = ConfigDict(frozen=True, strict=True)
    answers: CrossingType


def test_a_schema_can_have_a_type_as_a_member_in_any_of_its_forms() -> None:
    child = Child.model_validate_json('{"answers": {"list": {"of": "bool", "max_items": 2}}}')
    assert child == Child(answers=crossing_type(LIST, "test"))
    assert Child.model_validate(child.model_dump()) == child
    assert child.model_dump() == {"answers": {"list": {"of": "bool", "max_items": 2}}}
    with pytest.raises(ValidationError, match="is not a type"):
        Child.model_validate({"answers": "boole"})
