"""The strict YAML reader: one meaning, or a refusal with file, line and column."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, ConfigDict

from trilemma.errors import SpecError
from trilemma.policy.yamltext import MAX_DEPTH, MAX_TEXT, read_yaml, read_yaml_file, validate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: -7", {"a": -7}),
        ("a: 1.5", {"a": 1.5}),
        ("a: true\nb: false", {"a": True, "b": False}),
        ("a: null\nb: ~\nc:", {"a": None, "b": None, "c": None}),
        ("- x\n- [1, 'two']\n", ["x", [1, "two"]]),
        ("a: \"yes\"\nb: 'no'", {"a": "yes", "b": "no"}),
        ("a: |\n  no\n  yes\n", {"a": "no\nyes\n"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: 010\nb: 0x1F\nc: 1_000", {"a": "010", "b": "0x1F", "c": "1_000"}),
        ("a: .inf\nb: .nan", {"a": ".inf", "b": ".nan"}),
        ("a: 123456789012345678901", {"a": "123456789012345678901"}),
        ("a: nothing\nb: yesterday", {"a": "nothing", "b": "yesterday"}),
        ('"true": 1', {"true": 1}),
        ("# only a comment before\na: é", {"a": "é"}),
    ],
)
def test_plain_data_is_read(text: str, value: Any) -> None:
    assert read_yaml(text, "agent.yaml") == value


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("", "1:1", "the file is empty"),
        ("# nothing\n", "2:1", "the file is empty"),
        ("a: 1\na: 2\n", "2:1", "duplicate key 'a'"),
        ("b:\n  a: 1\n  'a': 2\n", "3:3", "duplicate key 'a'"),
        ("{a: 1, a: 1}", "1:8", "duplicate key 'a'"),
        ("a: &x 1\nb: *x\n", "1:4", "anchors and aliases are refused"),
        ("a: &x\n  b: 1\n", "1:4", "anchors and aliases are refused"),
        ("b: *x\n", "1:4", "anchors and aliases are refused"),
        ("*x : 1\n", "1:1", "anchors and aliases are refused"),
        ("<<: {a: 1}\n", "1:1", "merge keys are refused"),
        ("a: yes\n", "1:4", "'yes' is ambiguous"),
        ("a: No\n", "1:4", "'No' is ambiguous"),
        ("- ON\n", "1:3", "'ON' is ambiguous"),
        ("on: push\n", "1:1", "'on' is ambiguous"),
        ("a: off\n", "1:4", "'off' is ambiguous"),
        ("a:\tb\n", "1:3", "a tab"),
        ("a: 1\n\tb: 2\n", "2:1", "a tab"),
        ("a: !!python/object/apply:os.system [id]\n", "1:4", "tags are refused"),
        ("a: !!str 1\n", "1:4", "tags are refused"),
        ("a: !secret x\n", "1:4", "tags are refused"),
        ("!!set {a}\n", "1:1", "tags are refused"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document"),
        ("---\n---\n", "2:1", "a second document"),
        ("%YAML 1.1\n---\na: 1\n", "1:1", "directives are refused"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", "1:1", "directives are refused"),
        ("1: a\n", "1:1", "a key must be text, not 1"),
        ("true: a\n", "1:1", "a key must be text, not True"),
        ("~: a\n", "1:1", "a key must be text, not None"),
        ("? [a, b]\n: c\n", "1:3", "a key must be text"),
        ("a: [1, 2\n", "2:1", "not YAML"),
        ("a: b: c\n", "1:5", "not YAML"),
        ('a: "open\n', "2:1", "not YAML"),
        ("a: @x\n", "1:4", "not YAML"),
        ('a: "\\ud800"\n', "1:4", "half a character"),
    ],
)
def test_what_could_be_misread_is_refused(text: str, where: str, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "agent.yaml")
    message = str(caught.value)
    assert message.startswith(f"agent.yaml:{where}: "), message
    assert why in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["a: \x00", "a: \x1b[0m", "\x07: 1"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^agent\.yaml: not YAML"):
        read_yaml(text, "agent.yaml")


def test_depth_and_size_are_bounded() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_yaml(deep, "x")
    with pytest.raises(SpecError, match="nested deeper"):
        read_yaml(f"[{deep}]", "x")
    with pytest.raises(SpecError, match="nested deeper"):
        read_yaml("[" * 100_000, "x")
    with pytest.raises(SpecError, match="longer than"):
        read_yaml("a" * (MAX_TEXT + 1), "x")


keys = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | keys,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_json_is_yaml_and_is_read_as_it_is(value: Any) -> None:
    assert read_yaml(json.dumps(value), "x") == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    message = "x"
    try:
        read_yaml(text, "x")
    except SpecError as error:
        message = str(error)
    assert message.startswith("x")
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^cannot read .*No such file"):
        read_yaml_file(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match=r"^cannot read .*directory"):
        read_yaml_file(tmp_path)
    (tmp_path / "bad.yaml").write_bytes(b"a: \xff")
    with pytest.raises(SpecError, match=r"bad\.yaml: not UTF-8 text at byte 3"):
        read_yaml_file(tmp_path / "bad.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (5 * MAX_TEXT))
    with pytest.raises(SpecError, match="longer than"):
        read_yaml_file(tmp_path / "big.yaml")


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int = 50
    seconds: float = 60.0


class Agent(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    limits: Limits = Limits()
    tools: tuple[str, ...] = ()
    stages: tuple[Limits, ...] = ()


def test_a_model_is_made_without_converting_types() -> None:
    agent = validate(Agent, {"name": "a", "limits": {"steps": 3}, "tools": ["x"]}, "agent.yaml")
    assert agent.limits.steps == 3
    assert agent.tools == ("x",)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({}, "agent.yaml: name: missing; this field is required"),
        ({"name": "a", "tool": []}, "agent.yaml: tool: unknown field; did you mean 'tools'?"),
        (
            {"name": "a", "limits": {"stesp": 1}},
            "agent.yaml: limits.stesp: unknown field; did you mean 'steps'?",
        ),
        (
            {"name": "a", "stages": [{}, {"zzz": 1}]},
            "agent.yaml: stages[1].zzz: unknown field; the fields here are: steps, seconds",
        ),
        (
            {"name": "a", "limits": {"steps": "3"}},
            "agent.yaml: limits.steps: input should be a valid integer, not '3'",
        ),
        ({"name": 7}, "agent.yaml: name: input should be a valid string, not 7"),
        ({"name": True}, "agent.yaml: name: input should be a valid string, not True"),
        (
            {"name": "a", "tools": "x"},
            "agent.yaml: tools: input should be a valid array, not 'x'",
        ),
    ],
)
def test_a_mistake_names_place_value_and_way_on(data: Any, line: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(Agent, data, "agent.yaml")
    assert str(caught.value) == line


def test_data_that_is_no_mapping_is_one_line() -> None:
    with pytest.raises(SpecError, match=r"^agent\.yaml: the file: .*not \['a'\]$"):
        validate(Agent, ["a"], "agent.yaml")


def test_every_mistake_has_a_line_up_to_a_bound() -> None:
    with pytest.raises(SpecError) as caught:
        validate(Agent, {f"field{n}": n for n in range(30)}, "agent.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert all(line.startswith("agent.yaml: ") for line in lines)
    assert lines[-1] == "agent.yaml: ... and 21 more"


def test_long_values_are_cut() -> None:
    with pytest.raises(SpecError) as caught:
        validate(Agent, {"name": ["x" * 10_000]}, "agent.yaml")
    assert len(str(caught.value)) < 300
