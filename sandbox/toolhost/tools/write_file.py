"""Write a text file of the workspace."""

from typing import Any

from ..context import Context
from ..workspace import Workspace

NAME = "write_file"
DESCRIPTION = "Write a text file of the workspace, replacing it where it exists. Makes its folders."
NEEDS = ("files",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "File to write, relative to the workspace."},
        "text": {"type": "string", "description": "Its whole new content."},
    },
    "required": ["path", "text"],
    "additionalProperties": False,
}


def run(context: Context, path: str, text: str) -> str:
    """Write, and say how much."""
    data = text.encode()
    Workspace(context).write(path, data)
    return f"wrote {len(data)} bytes to {path}"
