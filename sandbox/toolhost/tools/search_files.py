"""Search the text files of the workspace."""

import fnmatch
import re
from typing import Any

from ..context import Context
from ..errors import BadArguments, CallFailed
from ..workspace import Workspace

NAME = "search_files"
DESCRIPTION = (
    "Search the text files of the workspace with a regular expression (Python's). "
    "Each result is path:line: text. Binary and very large files are passed over."
)
NEEDS = ("files",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "pattern": {"type": "string", "description": "Regular expression to look for in lines."},
        "path": {
            "type": "string",
            "description": "Folder to search, relative to the workspace.",
            "default": ".",
        },
        "files": {
            "type": "string",
            "description": "Only files whose name matches this, such as *.py.",
            "default": "*",
        },
        "ignore_case": {
            "type": "boolean",
            "description": "Take upper and lower case as equal.",
            "default": False,
        },
        "limit": {
            "type": "integer",
            "description": "Stop after this many results.",
            "minimum": 1,
            "maximum": 10000,
            "default": 200,
        },
    },
    "required": ["pattern"],
    "additionalProperties": False,
}

_LONGEST = 500


def run(
    context: Context,
    pattern: str,
    path: str = ".",
    files: str = "*",
    ignore_case: bool = False,
    limit: int = 200,
) -> list[str]:
    """The matching lines in the order of the files."""
    try:
        expression = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise BadArguments(f"pattern is not a regular expression: {error}") from None
    workspace = Workspace(context)
    results: list[str] = []
    for entry in workspace.walk(path):
        if not entry.is_file or not fnmatch.fnmatchcase(entry.path.rpartition("/")[2], files):
            continue
        try:
            text = workspace.read_text(entry.path)
        except CallFailed:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if expression.search(line) is None:
                continue
            if len(results) == limit:
                return [*results, f"... (more than {limit} results)"]
            results.append(f"{entry.path}:{number}: {line[:_LONGEST]}")
    return results
