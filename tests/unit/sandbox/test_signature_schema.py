"""Typed functions as tools: the schema they get, and the values they are called with."""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, TypedDict, Union

import jsonschema
import pytest
from hypothesis import given, strategies as st

from trilemma.sandbox.toolhost.errors import BadArguments
from trilemma.sandbox.toolhost.schema import check
from trilemma.sandbox.toolhost.signature import SignatureError, describe, keywords


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(TypedDict):
    street: str
    zip: NotRequired[int]


@dataclass
class Person:
    name: str
    age: int = 0
    addresses: list[Address] = field(default_factory=list)


UserId = NewType("UserId", int)


def schema_for(hint: Any) -> Any:
    def function(value):  # type: ignore[no-untyped-def]
        ...

    function.__annotations__["value"] = hint
    return describe(function).parameters["properties"]["value"]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (Path, {"type": "string"}),
        (UserId, {"type": "integer"}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[str], {"anyOf": [{"type": "string"}, {"type": "null"}]}),  # noqa: UP045
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),  # noqa: UP007
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (
            Address,
            {
                "type": "object",
                "properties": {"street": {"type": "string"}, "zip": {"type": "integer"}},
                "required": ["street"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_each_supported_type_has_its_schema(hint: Any, schema: Any) -> None:
    assert schema_for(hint) == schema
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "hint", [bytes, set[int], dict[int, str], Callable[[], int], complex, Literal[1.5], object]
)
def test_other_types_are_refused_by_name(hint: Any) -> None:
    with pytest.raises(SignatureError, match=r"function\(value\)"):
        schema_for(hint)


@dataclass
class Node:
    children: "list[Node]"


def test_a_type_that_refers_to_itself_is_refused() -> None:
    with pytest.raises(SignatureError, match="itself"):
        schema_for(Node)


def test_name_description_defaults_and_documented_arguments() -> None:
    def send_mail(to: str, copies: list[str] | None = None, urgent: bool = False) -> str:
        """Send a mail.

        It goes out at once.

        Args:
            to (str): Who gets it,
                as an address.
            copies: Who else: one per line.

        Returns:
            Its number.
        """
        return to

    described = describe(send_mail)
    assert described.name == "send_mail"
    assert described.description == "Send a mail.\n\nIt goes out at once."
    assert described.parameters == {
        "type": "object",
        "properties": {
            "to": {"type": "string", "description": "Who gets it, as an address."},
            "copies": {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "description": "Who else: one per line.",
                "default": None,
            },
            "urgent": {"type": "boolean", "default": False},
        },
        "required": ["to"],
        "additionalProperties": False,
    }


def test_functions_that_cannot_be_tools_say_why() -> None:
    def untyped(value):  # type: ignore[no-untyped-def]
        ...

    async def waiting(value: str) -> None: ...

    def many(*values: str) -> None: ...

    def anything(**values: str) -> None: ...

    def undefined(value: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
        ...

    cases: list[tuple[Callable[..., Any], str]] = [
        (untyped, "has no type"),
        (waiting, "not async"),
        (many, "names"),
        (anything, "names"),
        (undefined, "Nowhere"),
    ]
    for function, why in cases:
        with pytest.raises(SignatureError, match=why):
            describe(function)


def test_arguments_become_what_the_hints_promise() -> None:
    def function(
        colour: Colour,
        person: Person,
        pair: tuple[int, str],
        ratio: float,
        where: Path,
        either: Person | str,
    ) -> None: ...

    got = keywords(
        function,
        {
            "colour": "blue",
            "person": {"name": "Ada", "addresses": [{"street": "Main"}]},
            "pair": [1, "x"],
            "ratio": 2,
            "where": "a/b",
            "either": {"name": "Bob"},
        },
    )
    assert got == {
        "colour": Colour.BLUE,
        "person": Person("Ada", 0, [{"street": "Main"}]),
        "pair": (1, "x"),
        "ratio": 2.0,
        "where": Path("a/b"),
        "either": Person("Bob"),
    }
    assert isinstance(got["ratio"], float)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "count is missing"),
        ({"count": "1"}, "count must be of type integer"),
        ({"count": True}, "count must be of type integer"),
        ({"count": 1, "other": 2}, "no argument 'other'; known: count, names"),
        ({"count": 1, "names": ["a", 2]}, r"names\[1\] must be of type string"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], why: str) -> None:
    def function(count: int, names: list[str] | None = None) -> None: ...

    def plain(count: int, names: list[str] = []) -> None: ...  # noqa: B006

    with pytest.raises(BadArguments, match=why):
        keywords(plain, arguments)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "red"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "age", "street", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
HINTS: list[Any] = [
    *(str, int, float, bool, Colour, Person, Address, list[int], tuple[int, str], int | None),
    *(dict[str, int], Literal["a", 1, None], list[Person | str], dict[str, tuple[bool, ...]]),
]


@given(st.sampled_from(HINTS), VALUES)
def test_the_checker_agrees_with_a_full_json_schema_validator(hint: Any, value: Any) -> None:
    schema = schema_for(hint)
    try:
        check(value, schema)
        here = True
    except BadArguments:
        here = False
    assert here == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_a_whole_number_written_as_float_is_no_integer_here() -> None:
    # JSON Schema would take 1.0 for an integer; a Python function would get a float.
    with pytest.raises(BadArguments):
        check(math.floor(1.5) + 0.0, {"type": "integer"})
