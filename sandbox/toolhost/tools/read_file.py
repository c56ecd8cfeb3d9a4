"""Read a text file of the workspace."""

from typing import Any

from ..context import Context
from ..errors import CallFailed
from ..workspace import Workspace

NAME = "read_file"
DESCRIPTION = (
    "Read a UTF-8 text file of the workspace. Long files are cut; read on with first_line."
)
NEEDS = ("files",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "File to read, relative to the workspace."},
        "first_line": {
            "type": "integer",
            "description": "Number of the first line to return.",
            "minimum": 1,
            "default": 1,
        },
        "lines": {
            "type": "integer",
            "description": "How many lines to return at most.",
            "minimum": 1,
            "maximum": 100000,
            "default": 2000,
        },
    },
    "required": ["path"],
    "additionalProperties": False,
}

_MAX_CHARACTERS = 200_000


def run(context: Context, path: str, first_line: int = 1, lines: int = 2000) -> str:
    """The text as it is; where it was cut, a last line says where to read on."""
    every = Workspace(context).read_text(path).splitlines(keepends=True)
    if first_line > max(len(every), 1):
        raise CallFailed(f"{path!r} has only {len(every)} lines")
    taken: list[str] = []
    size = 0
    for line in every[first_line - 1 : first_line - 1 + lines]:
        if taken and size + len(line) > _MAX_CHARACTERS:
            break
        taken.append(line[:_MAX_CHARACTERS])
        size += len(line)
    following = first_line + len(taken)
    if following <= len(every):
        taken.append(f"... (cut; {len(every)} lines in all, read on with first_line={following})")
    return "".join(taken)
