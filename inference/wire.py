"""Messages and tools in the OpenAI form, which every model server reads.

Only two things can be written here: text, and function tools. There is no way to say an image's
address, a file's id, or a tool that the provider runs.
"""

import json
from collections.abc import Sequence
from typing import Any

from .messages import FunctionTool, Message, ToolCall


def write_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation as JSON values."""
    return [_message(message) for message in messages]


def write_tools(tools: Sequence[FunctionTool]) -> list[dict[str, Any]]:
    """The tools as JSON values."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in tools
    ]


def _message(message: Message) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        written["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        # Some servers refuse an empty text beside tool calls, none refuses its absence.
        written["content"] = message.content or None
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": _arguments(call.arguments)},
    }


def _arguments(text: str) -> str:
    """What the model wrote, where it is an object: adapters parse it and fail on anything else."""
    try:
        readable = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        readable = False
    return text if readable else "{}"
