"""A sub-agent as a tool: what its parent's model is shown, and how its call is read."""

import json
from typing import Any

from trilemma.errors import SpecError

from ...inference.arguments import parse_arguments
from ...inference.messages import FunctionTool, ToolCall
from ...subagents.crossing.compound import CrossingType
from ..teamspec import ANSWER, AttenuatedSpec, ChildSpec, MediatedSpec

TASK = "task"
MAX_TASK = 256 * 1024
"""Characters of a task in free text."""

_TEXT = {"type": "string", "description": "What it is to do, with all that it needs to know."}


def offer(child: ChildSpec) -> FunctionTool:
    """The sub-agent as a model sees it."""
    return FunctionTool(child.agent, _description(child), _parameters(TASK, _schema(child)))


def answer_tool(answers: CrossingType) -> FunctionTool:
    """The tool by which a mediated sub-agent ends its run."""
    text = f"Give the answer and end. It must be {answers.describe()}; nothing else is read."
    return FunctionTool(ANSWER, text, _parameters(ANSWER, answers.json_schema()))


def only_argument(call: ToolCall, name: str) -> Any:
    """The value of the one argument that a call of these tools has.

    Raises:
        SpecError: there is another, or none.
    """
    arguments = parse_arguments(call)
    if arguments.keys() != {name}:
        raise SpecError(f"{call.name!r} takes one argument, {name!r}, not {sorted(arguments)!r}")
    return arguments[name]


def text_task(task: Any) -> str:
    """A task in free text.

    Raises:
        SpecError: it is no text, or too much.
    """
    if not isinstance(task, str) or not task.strip():
        raise SpecError("the task of a sub-agent must be text, and not empty")
    if len(task) > MAX_TASK:
        raise SpecError(f"the task is longer than {MAX_TASK} characters; hand on where to look")
    return task


def as_text(value: Any, *, free: bool) -> str:
    """A value that crossed, as a model reads it."""
    return value if free and isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _description(child: ChildSpec) -> str:
    said = (
        child.description or f"Hands a task to the agent {child.agent}, and waits for its answer."
    )
    if isinstance(child, MediatedSpec):
        return f"{said} It reads {child.asks.describe()} and answers {child.answers.describe()}."
    return said


def _schema(child: ChildSpec) -> dict[str, Any]:
    return _TEXT if isinstance(child, AttenuatedSpec) else child.asks.json_schema()


def _parameters(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "additionalProperties": False,
    }
