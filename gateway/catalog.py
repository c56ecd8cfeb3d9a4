"""From an agent's list of tools to definitions: built in, command line, Python functions."""

import functools
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from ..policy.capability import Capability, CapabilitySet, parse
from ..policy.yamltext import validate
from ..sandbox.base import BuiltinEntry, ModuleEntry
from ..sandbox.spec import ToolModule
from ..sandbox.toolhost.catalog import builtins
from . import commands
from .schemas import AgentSpec, CommandTool, ModuleTools, PythonTool
from .tools import ToolDefinition

DescribeModule = Callable[[ToolModule], list[dict[str, Any]]]
"""Imports a tool file inside a sandbox and lists its tools as plain data."""

_builtins = functools.cache(builtins)
"""What this process offers: their sources are read once."""

MAX_MODULE_BYTES = 1024 * 1024
MAX_MODULE_TOOLS = 256


def definitions(spec: AgentSpec, describe: DescribeModule) -> tuple[ToolDefinition, ...]:
    """Every tool that an agent names, in its order.

    Raises:
        SpecError: an unknown tool, a tool file that cannot be used, or one name used twice.
    """
    found: dict[str, ToolDefinition] = {}
    for item in spec.tools:
        for tool in _definitions(item, spec, describe):
            if tool.name in _builtins() and not isinstance(tool.runner, BuiltinEntry):
                raise SpecError(f"{tool.name!r} is the name of a built-in tool; choose another")
            if tool.name in found:
                raise SpecError(f"agent {spec.name!r} has two tools named {tool.name!r}")
            found[tool.name] = tool
    return tuple(found.values())


def fitting(
    tools: Iterable[ToolDefinition], grants: CapabilitySet | None
) -> tuple[ToolDefinition, ...]:
    """The tools that are offered: with grants, those whose needs fit, so the list never changes."""
    if grants is None:
        return tuple(tools)
    return tuple(tool for tool in tools if tool.needs <= grants)


def _definitions(
    item: str | CommandTool | ModuleTools | PythonTool, spec: AgentSpec, describe: DescribeModule
) -> list[ToolDefinition]:
    if isinstance(item, ModuleTools):
        return _module(item, spec, describe)
    return [definition(item)]


def definition(item: str | CommandTool | PythonTool) -> ToolDefinition:
    """One tool whose needs stand in the agent's spec, or that is built in.

    Raises:
        SpecError: there is no built-in tool of that name.
    """
    match item:
        case CommandTool():
            return commands.definition(item)
        case PythonTool():
            return _python(item)
        case _:
            return _builtin(item)


def _builtin(name: str) -> ToolDefinition:
    known_tools = _builtins()
    builtin = known_tools.get(name)
    if builtin is None:
        known = ", ".join(sorted(known_tools))
        raise SpecError(
            f"unknown tool {name!r}; built in are: {known}. "
            "Your own are '- module: FILE.py' or '- command: NAME'"
        )
    return ToolDefinition(
        name=builtin.name,
        description=builtin.description,
        parameters=builtin.parameters,
        declared=parse(builtin.needs),
        runner=BuiltinEntry(builtin.name),
        source=builtin.source_sha256,
        takes_grants=Capability.CODE in builtin.needs,
    )


def _python(item: PythonTool) -> ToolDefinition:
    module = _tool_module(item.source)
    return ToolDefinition(
        name=item.name,
        description=item.description,
        parameters=item.parameters,
        declared=None if item.needs is None else frozenset(item.needs),
        runner=ModuleEntry(module.name, item.function),
        module=module,
        source=module.sha256,
    )


def read_tool_file(path: Path) -> str:
    """The source of a tool file. It is run inside a sandbox only.

    Raises:
        SpecError: it cannot be read, or is too large.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"tool file {str(path)!r} cannot be read: {error}") from None
    if len(source) > MAX_MODULE_BYTES:
        raise SpecError(f"tool file {str(path)!r} is larger than {MAX_MODULE_BYTES} bytes")
    return source


def _module(item: ModuleTools, spec: AgentSpec, describe: DescribeModule) -> list[ToolDefinition]:
    path = spec.base / item.module
    module = _tool_module(read_tool_file(path))
    described = describe(module)
    if not described:
        raise SpecError(f"tool file {str(path)!r} has no @tool function")
    if len(described) > MAX_MODULE_TOOLS:
        raise SpecError(
            f"tool file {str(path)!r} has {len(described)} tools; at most {MAX_MODULE_TOOLS} work"
        )
    return [_described(module, entry, str(path)) for entry in described]


def _described(module: ToolModule, entry: dict[str, Any], origin: str) -> ToolDefinition:
    """A tool as the sandbox described it. Checked like what a person wrote: it is no more."""
    described = {
        "name": entry.get("name"),
        "description": entry.get("description"),
        "needs": entry.get("needs"),
        "parameters": entry.get("parameters"),
        "source": module.source,
        "function": entry.get("function", entry.get("name")),
    }
    return _python(validate(PythonTool, described, origin))


def _tool_module(source: str) -> ToolModule:
    digest = hashlib.sha256(source.encode()).hexdigest()
    return ToolModule(name=f"tools_{digest[:16]}", source=source, sha256=digest)
