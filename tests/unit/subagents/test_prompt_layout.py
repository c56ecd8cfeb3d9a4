"""Siblings send the same bytes up to their own part."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.inference.messages import FunctionTool
from trilemma.inference.wire import write_messages, write_tools
from trilemma.subagents.prompt import Layout, SharedPrefix, in_order

TEXTS = st.text(max_size=40)
NAMES = st.sampled_from(["read_file", "search_files", "run_code", "http_fetch", "list_files"])
JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
SCHEMAS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
TOOLS = st.lists(
    st.builds(FunctionTool, NAMES, TEXTS, SCHEMAS), max_size=5, unique_by=lambda tool: tool.name
)
PREFIXES = st.builds(SharedPrefix, TEXTS, TOOLS, TEXTS)


@st.composite
def siblings(draw: st.DrawFn) -> tuple[str, str, SharedPrefix]:
    """Two sessions of one domain, as they open, and what they share."""
    shared = draw(PREFIXES)
    layouts = st.builds(
        Layout, st.just(shared), TEXTS, st.none() | st.frozensets(NAMES, max_size=5)
    )
    return as_read(draw(layouts), draw(TEXTS)), as_read(draw(layouts), draw(TEXTS)), shared


def as_read(layout: Layout, task: str) -> str:
    """The request in the order in which a server reads it: tools, then messages."""
    messages = layout.opening(task)
    return json.dumps([write_tools(layout.tools), write_messages(messages)])


@given(siblings())
def test_any_two_siblings_agree_up_to_their_own_part(drawn: tuple[str, str, SharedPrefix]) -> None:
    one, other, shared = drawn
    opening = json.dumps([write_tools(shared.tools), write_messages(shared.messages)])[:-2]
    up_to_own = opening + (", " if shared.instructions else "") + '{"role": "user", "content": "'
    context = json.dumps(shared.context)[1:-1]
    assert one.startswith(up_to_own + context)
    assert other.startswith(up_to_own + context)


@given(TOOLS, st.randoms())
def test_the_same_tools_are_written_alike_however_they_came(tools: Any, random: Any) -> None:
    shuffled = [
        FunctionTool(tool.name, tool.description, turned(tool.parameters, random)) for tool in tools
    ]
    random.shuffle(shuffled)
    written = [json.dumps(write_tools(in_order(some))) for some in (tools, shuffled)]
    assert written[0] == written[1]


def turned(value: Any, random: Any) -> Any:
    """The same JSON value, its members in another order."""
    if isinstance(value, list):
        return [turned(member, random) for member in value]
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: turned(value[key], random) for key in keys}
    return value


def test_another_list_of_tools_would_part_siblings_at_once() -> None:
    """The twin: a child that is shown its own tools shares nothing worth keeping."""
    read = FunctionTool("read_file", "Read.", {"type": "object"})
    search = FunctionTool("search_files", "Search.", {"type": "object"})
    one = as_read(Layout(SharedPrefix("You are careful.", (read, search))), "a")
    other = as_read(Layout(SharedPrefix("You are careful.", (search,))), "b")
    agree = next(n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    assert agree < one.index("careful")


@pytest.mark.parametrize(
    ("may_call", "said"),
    [
        (None, ""),
        (frozenset[str](), "You may call none of the tools that you were shown."),
        (frozenset({"b", "a"}), "Of the tools that you were shown you may call only these: a, b."),
    ],
)
def test_a_child_reads_which_tools_are_its_own(may_call: frozenset[str] | None, said: str) -> None:
    tools = [FunctionTool(name, "", {}) for name in "cab"]
    layout = Layout(SharedPrefix("All.", tools, "Context."), "Mine.", may_call)
    (system, last) = layout.opening("Task.")
    assert (system.role, system.content) == ("system", "All.")
    parts = ["Context.", "Mine.", said, "Task."]
    assert last.content.split("\n\n") == [part for part in parts if part]


def test_a_root_reads_its_task_and_nothing_else() -> None:
    (only,) = Layout().opening("Task.")
    assert (only.role, only.content) == ("user", "Task.")


@given(PREFIXES, TEXTS)
def test_a_fan_out_shares_the_prefix_of_the_tree_and_a_context_of_its_own(
    prefix: SharedPrefix, context: str
) -> None:
    shared = prefix.with_context(context)
    assert (shared.instructions, shared.tools) == (prefix.instructions, prefix.tools)
    assert Layout(shared).opening("Task.")[-1].content.startswith(context)
