import json

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.inference.arguments import MAX_CHARACTERS, parse_arguments
from trilemma.inference.messages import ToolCall

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def parse(text: str) -> object:
    return parse_arguments(ToolCall("1", "read_file", text))


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_json_objects_come_back_as_they_are(value: dict[str, object]) -> None:
    assert parse(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["", "  ", "{}", "\n{ }\n"])
def test_nothing_means_no_arguments(text: str) -> None:
    assert parse(text) == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "must be a JSON object, not list"),
        ("null", "must be a JSON object, not NoneType"),
        ('"x"', "must be a JSON object, not str"),
        ("{oops", "not valid JSON"),
        ('{"a": 1} {"b": 2}', "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"a": {"b": 1, "\\u0062": 2}}', "the key 'b' is there twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": [-Infinity]}', "-Infinity is not JSON"),
        ('{"a": 1e999}', "too large"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('{"a": ' * 40 + "1" + "}" * 40, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
        ('{"a": ' + "9" * 5_000 + "}", "not valid JSON"),
        ('{"a": "' + "x" * MAX_CHARACTERS + '"}', "longer than"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(text: str, why: str) -> None:
    with pytest.raises(
        SpecError, match=f"arguments of 'read_file' cannot be used: .*{why}"
    ) as raised:
        parse(text)
    assert len(str(raised.value)) < 300
    assert "\n" not in str(raised.value)
