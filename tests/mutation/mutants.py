"""Mutants: a policy file with one comparison or operation flipped."""

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

_PYTHON: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.Sub: ast.BitAnd,
    ast.Not: ast.UAdd,
}
_REGO = {"==": "!=", "!=": "==", "<=": "<", ">=": ">", ">": ">=", "<": "<=", "not ": ""}
_TOKEN = re.compile(r'#[^\n]*|"(?:\\.|[^"\\])*"|(==|!=|<=|>=|[<>]|\bnot )')


@dataclass(frozen=True)
class Mutant:
    """One changed text."""

    name: str
    text: str


def python_mutants(path: str, text: str) -> Iterator[Mutant]:
    """Each operator of a module flipped, one at a time. Annotations are no operations."""
    tree = ast.parse(text)
    noted = {id(n) for a in _annotations(tree) for n in ast.walk(a)}
    for place, node in enumerate(ast.walk(tree)):
        for part in ("op", "ops"):
            operator = getattr(node, part, None)
            operator = operator[0] if isinstance(operator, list) else operator
            if operator is None or id(node) in noted or type(operator) not in _PYTHON:
                continue
            changed = deepcopy(tree)
            twin = list(ast.walk(changed))[place]
            flipped = _PYTHON[type(operator)]()
            if isinstance(operator, ast.Not):
                twin.op, twin.operand = ast.Not(), ast.UnaryOp(ast.Not(), twin.operand)  # type: ignore[attr-defined]
            else:
                setattr(twin, part, [flipped] if part == "ops" else flipped)
            name = f"{path}:{node.lineno}: {type(operator).__name__}"  # type: ignore[attr-defined]
            yield Mutant(name, ast.unparse(ast.fix_missing_locations(changed)))


def rego_mutants(path: str, text: str) -> Iterator[Mutant]:
    """Each comparison and negation outside comments and strings flipped, one at a time."""
    for found in _TOKEN.finditer(text):
        if found[1]:
            line = text.count("\n", 0, found.start()) + 1
            changed = text[: found.start()] + _REGO[found[1]] + text[found.end() :]
            yield Mutant(f"{path}:{line}: {found[1].strip()}", changed)


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                yield getattr(node, field)
