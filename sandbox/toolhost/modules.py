"""Shipped tool modules: compiled and run in a call's child, after the lock, nowhere else."""

import sys
import traceback
import types
from typing import Any

from .context import Context
from .declared import Tool, trilemma_module
from .errors import BadArguments, CallFailed, NotFound
from .hints import SignatureError
from .signature import describe as describe_function, keywords

PACKAGES = "/usr/local/lib/python3.11/dist-packages"
"""Packages that were built into an image for code agents. They are strangers' code: the child of a
call that may run any code loads them, the tool host never does."""


def describe(arguments: dict[str, Any], context: Context) -> list[dict[str, Any]]:
    """The tools of a module as data: what a gateway needs to offer them."""
    name = arguments.get("module")
    if not isinstance(name, str):
        raise BadArguments(f"module must be the name of a tool module, not {name!r}")
    module = _load(name, context)
    return [
        _described(attribute, value)
        for attribute, value in vars(module).items()
        if isinstance(value, Tool) and value.function.__module__ == name
    ]


def call(name: str, function: str, arguments: dict[str, Any], context: Context) -> Any:
    """Call one function of a module."""
    module = _load(name, context)
    found = vars(module).get(function)
    plain = found.function if isinstance(found, Tool) else found
    if not isinstance(plain, types.FunctionType):
        raise NotFound(f"tool module {name!r} has no function {function!r}")
    try:
        prepared = keywords(plain, arguments)
    except SignatureError as error:
        raise CallFailed(str(error)) from None
    try:
        return plain(**prepared)
    except MemoryError:
        raise
    except BaseException as error:  # Also SystemExit: a tool's end is a result.
        raise CallFailed(_told(error, name)) from None


def rehearse() -> None:
    """Use what a call will use, on a function of our own."""

    def same(value: int = 0) -> int:
        """The value."""
        return value

    scope: dict[str, Any] = {}
    exec(compile("def f(x: int) -> int:\n    return x\n", "<rehearsal>", "exec"), scope)
    same(**keywords(same, {"value": 1}))


def _source(name: str, context: Context) -> str:
    for module in context.settings.modules:
        if module.name == name:
            return module.source
    raise NotFound(f"this sandbox was not given a tool module {name!r}")


def _load(name: str, context: Context) -> types.ModuleType:
    source = _source(name, context)
    if context.settings.exec == "free":
        sys.path.append(PACKAGES)
    sys.modules["trilemma"] = trilemma_module()
    module = types.ModuleType(name)
    # Where dataclasses and type hints look a class's module up.
    sys.modules[name] = module
    try:
        exec(compile(source, _file(name), "exec", dont_inherit=True), module.__dict__)
    except MemoryError:
        raise
    except BaseException as error:
        raise CallFailed(f"the tool module cannot be loaded: {_told(error, name)}") from None
    return module


def _described(attribute: str, tool: Tool) -> dict[str, Any]:
    try:
        described = describe_function(tool.function)
    except SignatureError as error:
        raise CallFailed(str(error)) from None
    return {
        "name": tool.name,
        "function": attribute,
        "description": described.description,
        "needs": None if tool.needs is None else list(tool.needs),
        "parameters": described.parameters,
    }


def _file(name: str) -> str:
    return f"<tool module {name}>"


def _told(error: BaseException, name: str) -> str:
    """The error and the module's line that it came from."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == _file(name)
    ]
    place = f" (line {lines[-1]} of the tool's source)" if lines else ""
    return f"{type(error).__name__}: {error}{place}"
