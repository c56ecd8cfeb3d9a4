"""Change one place in a text file of the workspace."""

from typing import Any

from ..context import Context
from ..errors import BadArguments, CallFailed
from ..workspace import Workspace

NAME = "edit_file"
DESCRIPTION = (
    "Replace one piece of a text file. `old` must occur exactly once, with its line breaks "
    "and indentation; give more of its surroundings where it occurs several times."
)
NEEDS = ("files",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "File to change, relative to the workspace."},
        "old": {"type": "string", "description": "The text to replace."},
        "new": {"type": "string", "description": "What stands there afterwards."},
        "all": {
            "type": "boolean",
            "description": "Replace every occurrence instead.",
            "default": False,
        },
    },
    "required": ["path", "old", "new"],
    "additionalProperties": False,
}


def run(context: Context, path: str, old: str, new: str, all: bool = False) -> str:
    """Replace, and say how often."""
    if not old:
        raise BadArguments("old must not be empty; write_file writes whole files")
    workspace = Workspace(context)
    text = workspace.read_text(path)
    count = text.count(old)
    if count == 0:
        raise CallFailed(f"old does not occur in {path!r}; read the file again")
    if count > 1 and not all:
        raise CallFailed(f"old occurs {count} times in {path!r}; give more of its surroundings")
    workspace.write(path, text.replace(old, new).encode())
    return f"replaced {count} occurrence{'s' if count > 1 else ''} in {path}"
