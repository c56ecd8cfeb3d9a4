"""Run code the agent wrote."""

import contextlib
import os
import tempfile
from typing import Any

from ..context import Context
from ..errors import CallFailed
from ..program import ENVIRONMENT, Program, require, run as run_program
from ..settings import SCRATCH
from ..tunnel import ENVIRONMENT as TUNNEL

NAME = "run_code"
DESCRIPTION = (
    "Run Python or shell code and return its exit code and output. It runs in the workspace "
    "where one is mounted, else in /tmp. /tmp is scratch and stays during the session; processes "
    "do not outlive the call."
)
NEEDS = ("code",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "language": {
            "type": "string",
            "enum": ["python", "shell"],
            "description": "python: Python 3, isolated (-I). shell: POSIX sh.",
        },
        "code": {"type": "string", "description": "The program's text."},
        "stdin": {
            "type": "string",
            "description": "What it reads from its standard input.",
            "default": "",
        },
        "timeout": {
            "type": "number",
            "description": "Seconds after which it is killed; its output so far is returned.",
            "minimum": 0.1,
            "maximum": 3600,
            "default": 50,
        },
    },
    "required": ["language", "code"],
    "additionalProperties": False,
}

_INTERPRETERS = {"python": ("python3", "-I", "-B"), "shell": ("sh",)}
"""The image's own, and their options."""


def run(
    context: Context, language: str, code: str, stdin: str = "", timeout: float = 50
) -> dict[str, object]:
    """Write the code to scratch, run it, remove it."""
    if context.settings.exec != "free":
        raise CallFailed("this sandbox does not run code")
    name, *options = _INTERPRETERS[language]
    interpreter = require(name)
    fd, path = tempfile.mkstemp(prefix="code-", dir=SCRATCH)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(code)
        program = Program(
            executable=interpreter,
            argv=[interpreter, *options, path],
            stdin=stdin,
            environment=ENVIRONMENT | (TUNNEL if context.settings.egress == "tunnel" else {}),
            seconds=timeout,
            limit=context.settings.output // 4,
        )
        return run_program(program).as_json()
    finally:
        # The code may have cleared its scratch.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
