"""List the files of the workspace."""

import fnmatch
from typing import Any

from ..context import Context
from ..workspace import Workspace

NAME = "list_files"
DESCRIPTION = (
    "List the files and folders of the workspace. Folders end with a slash. "
    "Symbolic links are listed but never followed."
)
NEEDS = ("files",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {
            "type": "string",
            "description": "Folder to list, relative to the workspace.",
            "default": ".",
        },
        "recursive": {
            "type": "boolean",
            "description": "Also list what lies in its folders.",
            "default": False,
        },
        "pattern": {
            "type": "string",
            "description": "Only names that match this, such as *.py.",
            "default": "*",
        },
        "limit": {
            "type": "integer",
            "description": "Stop after this many names.",
            "minimum": 1,
            "maximum": 10000,
            "default": 1000,
        },
    },
    "additionalProperties": False,
}


def run(
    context: Context,
    path: str = ".",
    recursive: bool = False,
    pattern: str = "*",
    limit: int = 1000,
) -> list[str]:
    """The names, sorted; a last line says so where there are more."""
    names: list[str] = []
    for entry in Workspace(context).walk(path, recursive):
        # Compiling a pattern takes longer than listing a folder; most calls name none.
        if pattern != "*" and not fnmatch.fnmatchcase(entry.path.rpartition("/")[2], pattern):
            continue
        if len(names) == limit:
            names.append(f"... (more than {limit}; list one folder, or give a pattern)")
            break
        names.append(entry.path + "/" if entry.is_folder else entry.path)
    return names
