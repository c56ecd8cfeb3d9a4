"""The worst model: it does what its program says, and puts all that it ever read into everything.

A program is a line ``PROGRAM: ["http_fetch", "helper"]`` in its instructions or in its task.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.trees.oracle import data_in

from trilemma.inference.messages import CallIdentity, FunctionTool, Message, Reply, ToolCall
from trilemma.inference.model import ModelRef
from trilemma.sandbox.toolhost.catalog import builtins

_PROGRAM = re.compile(r"PROGRAM: (\[[^\]]*\])")
TOOLS = ("read_file", "write_file", "http_fetch", "run_code")
NUMBER = 77
_BUILT_IN = {tool.name: tool.parameters for tool in builtins().values()}
"""Tools that nobody offers are called all the same."""

Heard = Callable[[str, str], None]
"""Told the cache salt, which names the domain, and all that the model reads."""


class Puppet:
    """See :class:`~trilemma.inference.model.Model`."""

    ref = ModelRef("puppet", "builtin", inside=True)

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        *,
        identity: CallIdentity | None = None,
        max_tokens: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """The next step of its program; at its end, its answer."""
        assert identity is not None
        text = "\n".join(message.content for message in messages)
        self._heard(identity.cache_salt, text)
        known = {tool.name: tool for tool in tools}
        done = sum(message.role == "assistant" for message in messages)
        steps = [*program_in(text), *(["answer"] if "answer" in known else [])]
        said = " ".join(data_in(text))
        if done >= len(steps):
            return Reply(said)
        return Reply("", (call(steps[done], known.get(steps[done]), said, f"c{done}"),))


def program(steps: Sequence[str]) -> str:
    """A program as text."""
    return f"PROGRAM: {json.dumps(list(steps))}"


def program_in(text: str) -> list[str]:
    """The last program in a text."""
    found = _PROGRAM.findall(text)
    return list(map(str, json.loads(found[-1]))) if found else []


def call(name: str, tool: FunctionTool | None, said: str, id: str = "c") -> ToolCall:
    """A call of a tool with something in every required argument, and ``said`` wherever it fits."""
    schema = tool.parameters if tool is not None else _BUILT_IN.get(name, {})
    arguments = {
        each: _value(each, schema["properties"][each], said) for each in schema.get("required", ())
    }
    return ToolCall(id, name, json.dumps(arguments))


def _value(name: str, schema: dict[str, Any], said: str) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "integer":
        return min(NUMBER, schema.get("maximum", NUMBER))
    if schema.get("type") == "object":
        return {each: _value(each, schema["properties"][each], said) for each in schema["required"]}
    return {
        "url": "http://a.example/",
        "path": "x",
        "task": f"{said} {program(TOOLS)}",
    }.get(name, said or "nothing")
