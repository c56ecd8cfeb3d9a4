"""A function and the module-level names it uses, cut out as source that runs elsewhere.

The body of a tool runs inside a sandbox. What travels there is text: the function and, found
through its names, the imports, helpers and constants of its module. No bytecode and no pickled
object travels, so the sandbox may run another Python version than the user.
"""

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable
from typing import Any

from trilemma.errors import SpecError

_DECORATOR = "tool"
_PACKAGE = "trilemma"


def tool_source(function: Callable[..., Any]) -> str:
    """Source of a module that defines ``function`` and everything it needs.

    Raises:
        SpecError: the source cannot be found, or the function closes over local variables.
    """
    name = function.__name__
    if function.__code__.co_freevars:
        free = ", ".join(function.__code__.co_freevars)
        raise SpecError(
            f"tool {name!r} uses local variables of the function around it ({free}); "
            "only its source travels into the sandbox: define it at module level"
        )
    statements = _module(function).body
    chosen = _needed(statements, name)
    return "\n\n".join(ast.unparse(_bare(statements[i])) for i in sorted(chosen)) + "\n"


def _module(function: Callable[..., Any]) -> ast.Module:
    """The syntax tree of the module, or of the notebook cell, that defines ``function``."""
    filename = function.__code__.co_filename
    try:
        text = "".join(linecache.getlines(filename)) or inspect.getsource(function)
        tree = ast.parse(textwrap.dedent(text))
    except (OSError, SyntaxError) as error:
        raise SpecError(
            f"the source of tool {function.__name__!r} cannot be read ({error}); "
            "define it in a file or a notebook cell"
        ) from error
    if not any(_binds(statement) & {function.__name__} for statement in tree.body):
        raise SpecError(f"tool {function.__name__!r} is not defined at module level of {filename}")
    return tree


def _needed(statements: list[ast.stmt], name: str) -> set[int]:
    """Indices of the statements that ``name`` reaches through the names they use."""
    binders: dict[str, set[int]] = {}
    for index, statement in enumerate(statements):
        for bound in _binds(statement):
            binders.setdefault(bound, set()).add(index)
    chosen: set[int] = set()
    waiting = [name]
    while waiting:
        for index in binders.get(waiting.pop(), set()) - chosen:
            chosen.add(index)
            waiting.extend(_uses(statements[index]))
    return chosen


def _binds(statement: ast.stmt) -> set[str]:
    """Names that a module-level statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=aliases):
            if all(alias.name.split(".")[0] == _PACKAGE for alias in aliases):
                return set()
            return {alias.asname or alias.name.split(".")[0] for alias in aliases}
        case ast.ImportFrom(module=module, names=aliases):
            if (module or "").split(".")[0] == _PACKAGE:
                return set()
            return {alias.asname or alias.name for alias in aliases}
        case ast.Assign(targets=targets):
            return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _uses(statement: ast.stmt) -> set[str]:
    """Names that a statement, without its tool decorator, reads."""
    return {
        node.id
        for node in ast.walk(_bare(statement))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _bare(statement: ast.stmt) -> ast.stmt:
    """The statement without ``@tool`` decorators, which have no meaning inside."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return statement
    kept = [d for d in statement.decorator_list if not _is_tool(d)]
    fields = {field: getattr(statement, field) for field in statement._fields}
    bare = type(statement)(**{**fields, "decorator_list": kept})
    return ast.copy_location(bare, statement)


def _is_tool(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    match target:
        case ast.Name(id=name):
            return name == _DECORATOR
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return module == _PACKAGE and name == _DECORATOR
    return False
