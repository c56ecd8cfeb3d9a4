"""Arguments are parsed strictly, and what was parsed is what the tool gets."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.gateway.arguments import BadArguments, canonical, digest, parse
from trilemma.gateway.tools import ToolDefinition
from trilemma.policy.capability import NONE
from trilemma.sandbox.base import BuiltinEntry

ANY = ToolDefinition("any", "", {"type": "object"}, NONE, BuiltinEntry("any"))
PATH = ToolDefinition(
    "path",
    "",
    {
        "type": "object",
        "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["path"],
        "additionalProperties": False,
    },
    NONE,
    BuiltinEntry("path"),
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"path": "a", "path": "b"}', "duplicate key 'path'"),
        ('{"path": NaN}', "NaN is not JSON"),
        ('{"path": Infinity}', "Infinity is not JSON"),
        ('{"path": "\\ud800"}', "not usable JSON"),
        ('{"path": 1}', "path: 1 is not of type 'string'"),
        ('{"path": "a", "more": 1}', "more"),
        ("{}", "'path' is a required property"),
        ("[]", "is not of type 'object'"),
        ("{", "not usable JSON"),
        ('{"path": "a", "limit": 1.5}', "limit: 1.5 is not of type 'integer'"),
    ],
)
def test_bad_arguments_say_what_to_write_instead(text: str, says: str) -> None:
    with pytest.raises(BadArguments) as problem:
        parse(text, PATH)
    assert says in str(problem.value)
    assert "\n" not in str(problem.value)


def test_deep_nesting_is_refused() -> None:
    for depth in (100, 100_000):
        with pytest.raises(BadArguments):
            parse('{"x": ' + "[" * depth + "]" * depth + "}", ANY)


def test_too_large_arguments_are_refused() -> None:
    with pytest.raises(BadArguments, match="larger than"):
        parse(json.dumps({"x": "a" * (8 * 1024 * 1024)}), ANY)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES))
def test_what_was_written_is_what_is_passed_on(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value), ANY) == value
    assert json.loads(canonical(value)) == value


@given(st.text(max_size=200))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        parse(text, PATH)
    except BadArguments:
        return


def test_the_digest_depends_on_the_value_alone() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
