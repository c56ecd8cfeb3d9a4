"""The source that travels into a sandbox: the function, what it uses, and nothing else."""

import json as j
import math
from dataclasses import dataclass
from typing import Any

import pytest

from trilemma import tool
from trilemma.errors import SpecError
from trilemma.toolsource import tool_source

SECRET = "stays at home"
FACTOR = 3
TABLE: dict[str, int] = {"a": FACTOR}


@dataclass
class Point:
    x: int


def helper(value: int) -> int:
    return value * TABLE["a"]


@tool(needs=set())
def scaled(value: int) -> str:
    """Scale a value."""
    return j.dumps({"value": helper(value), "point": Point(1).x})


@tool(needs=set())
def rooted(value: float) -> float:
    """Take a root."""
    return math.sqrt(value)


@tool
def undeclared() -> str:
    """Say nothing about needs."""
    return SECRET


def run(source: str, function: str, *args: Any) -> Any:
    namespace: dict[str, Any] = {"__name__": "elsewhere"}
    exec(source, namespace)
    return namespace[function](*args)


def test_the_source_runs_elsewhere_with_its_helpers_and_imports() -> None:
    assert j.loads(run(tool_source(scaled.function), "scaled", 5)) == {"value": 15, "point": 1}
    assert run(tool_source(rooted.function), "rooted", 9.0) == 3.0


def test_nothing_that_is_not_used_travels() -> None:
    source = tool_source(scaled.function)
    assert "SECRET" not in source
    assert "math" not in source
    assert "trilemma" not in source
    assert "@tool" not in source
    assert "@dataclass" in source


def test_a_function_that_closes_over_locals_is_refused() -> None:
    local = 3

    @tool(needs=set())
    def inner() -> int:
        """Close over a local."""
        return local

    with pytest.raises(SpecError, match="local variables of the function around it \\(local\\)"):
        tool_source(inner.function)


def test_a_nested_function_is_refused_even_without_locals() -> None:
    @tool(needs=set())
    def nested() -> int:
        """Nothing."""
        return 1

    with pytest.raises(SpecError, match="not defined at module level"):
        tool_source(nested.function)


def test_a_tool_is_still_the_plain_function_here() -> None:
    assert rooted(16.0) == 4.0
    assert scaled.needs == frozenset()
    assert undeclared.needs is None


def test_the_spec_has_the_schema_of_the_signature() -> None:
    spec = scaled.spec()
    assert spec.parameters["properties"]["value"]["type"] == "integer"
    assert spec.parameters["required"] == ["value"]
    assert spec.description == "Scale a value."
    assert spec.needs == ()


def test_unknown_needs_are_named() -> None:
    with pytest.raises(SpecError, match="unknown capability 'disk'"):
        tool(needs={"disk"})
    with pytest.raises(SpecError, match="must be a list"):
        tool(needs="files")
