"""What the tools of an agent need, read without running anything."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import SpecError

from ...policy.capability import ALL, CapabilitySet, parse
from ..catalog import definition, read_tool_file
from ..schemas import AgentSpec, ModuleTools

_ONLY_READ = frozenset({"list_files", "read_file", "search_files", "http_fetch"})


@dataclass(frozen=True, slots=True)
class Needed:
    """One tool, and what it uses."""

    name: str
    needs: CapabilitySet
    declared: bool
    takes_grants: bool = False
    """It runs whatever it is given, with all that the session may do."""

    @property
    def may_write(self) -> bool:
        """Whether it may change a folder that it is shown."""
        return self.name not in _ONLY_READ


def tools_of(spec: AgentSpec) -> Iterator[Needed]:
    """The tools of an agent. One whose needs are not declared in plain sight needs all three.

    Raises:
        SpecError: there is no such tool, or its file cannot be read.
    """
    for item in spec.tools:
        if isinstance(item, ModuleTools):
            yield from _in_file(spec.base / item.module)
        else:
            tool = definition(item)
            yield Needed(tool.name, tool.needs, tool.facts.declared, tool.takes_grants)


def _in_file(path: Path) -> Iterator[Needed]:
    source = read_tool_file(path)
    try:
        tree = ast.parse(source)
    except (ValueError, SyntaxError, RecursionError) as error:
        raise SpecError(f"tool file {str(path)!r} cannot be read: {error}") from None
    found = [tool for node in tree.body for tool in _tool(node)]
    yield from found
    # A file that makes tools in another way as well may make any.
    if not found or sum(map(_names_tool, ast.walk(tree))) != len(found):
        yield Needed(path.name, ALL, declared=False)


def _names_tool(node: ast.AST) -> bool:
    """Whether the decorator's name stands here, under which everything that it makes is made."""
    match node:
        case ast.Name(id="tool") | ast.Attribute(attr="tool"):
            return True
        case ast.alias(name="tool", asname=other):
            return other is not None
    return False


def _tool(node: ast.stmt) -> Iterator[Needed]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if getattr(call, "id", getattr(call, "attr", None)) == "tool":
            needs = _literal(decorator)
            yield Needed(node.name, ALL if needs is None else needs, declared=needs is not None)


def _literal(decorator: ast.expr) -> CapabilitySet | None:
    """The needs, where they stand there as they are; None where they do not."""
    if not isinstance(decorator, ast.Call):
        return None
    for keyword in decorator.keywords:
        if keyword.arg == "needs":
            try:
                value = ast.literal_eval(keyword.value)
                return None if value is None else parse(value)
            except (ValueError, TypeError):
                return None
    return None
