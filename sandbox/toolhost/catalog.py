"""The tools that are baked in: read on the host for their descriptions, run in a call's child."""

import hashlib
import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import schema
from .context import Context
from .errors import NotFound
from .tools import edit_file, http_fetch, list_files, read_file, run_code, search_files, write_file

_MODULES: tuple[ModuleType, ...] = (
    list_files,
    read_file,
    write_file,
    edit_file,
    search_files,
    http_fetch,
    run_code,
)


@dataclass(frozen=True, slots=True)
class Builtin:
    """One baked-in tool, as the gateway offers it."""

    name: str
    description: str
    needs: tuple[str, ...]
    parameters: dict[str, Any]
    """JSON schema of the arguments."""
    source_sha256: str


def builtins() -> dict[str, Builtin]:
    """Every baked-in tool by name. Reads files; runs nothing."""
    return {module.NAME: _builtin(module) for module in _MODULES}


def run(name: str, arguments: dict[str, Any], context: Context) -> Any:
    """Run a baked-in tool."""
    for module in _MODULES:
        if name == module.NAME:
            schema.check(arguments, module.PARAMETERS)
            return module.run(context, **arguments)
    raise NotFound(f"no built-in tool is called {name!r}")


def _builtin(module: ModuleType) -> Builtin:
    source = inspect.getsource(module).encode()
    return Builtin(
        name=module.NAME,
        description=module.DESCRIPTION,
        needs=module.NEEDS,
        parameters=module.PARAMETERS,
        source_sha256=hashlib.sha256(source).hexdigest(),
    )
