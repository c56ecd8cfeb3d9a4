"""The tools that are baked in: read on the host for their descriptions, run in a call's child."""

import importlib
from types import ModuleType
from typing import Any, NamedTuple

from . import schema
from .context import Context
from .errors import NotFound
from .settings import Settings

_FILES = ("list_files", "read_file", "write_file", "edit_file", "search_files")
NAMES = (*_FILES, "http_fetch", "run_code")


class Builtin(NamedTuple):
    """One baked-in tool, as the gateway offers it."""

    name: str
    description: str
    needs: tuple[str, ...]
    parameters: dict[str, Any]
    """JSON schema of the arguments."""
    source_sha256: str


def builtins() -> dict[str, Builtin]:
    """Every baked-in tool by name. Reads files; runs nothing."""
    return {name: _builtin(load(name)) for name in NAMES}


def names_for(settings: Settings) -> tuple[str, ...]:
    """The tools that make sense in a sandbox with these settings."""
    files = _FILES if settings.workspace != "none" else ()
    fetch = ("http_fetch",) if settings.egress == "structured" else ()
    code = ("run_code",) if settings.exec == "free" else ()
    return (*files, *fetch, *code)


def load(name: str) -> ModuleType:
    """The module of one tool."""
    return importlib.import_module(f".tools.{name}", __package__)


def run(name: str, arguments: dict[str, Any], context: Context) -> Any:
    """Run a baked-in tool."""
    if name not in NAMES:
        raise NotFound(f"no built-in tool is called {name!r}")
    if name not in names_for(context.settings):
        raise NotFound(f"{name} does not run in a sandbox with this profile")
    module = load(name)
    schema.check(arguments, module.PARAMETERS)
    return module.run(context, **arguments)


def _builtin(module: ModuleType) -> Builtin:
    # Late: the container has no use for it, and each of its calls would pay.
    import hashlib
    import inspect

    source = inspect.getsource(module).encode()
    return Builtin(
        name=module.NAME,
        description=module.DESCRIPTION,
        needs=module.NEEDS,
        parameters=module.PARAMETERS,
        source_sha256=hashlib.sha256(source).hexdigest(),
    )
