"""The same facts and the same policy always give the same verdict: what Rego may not ask.

A decision must be repeatable long after, and a verdict may be remembered, so a policy sees the
facts of an act and its own data. It does not see the clock, a random number, a name server or
another machine.
"""

from collections.abc import Iterator
from typing import Any

_ELSEWHERE = ("http", "net", "opa", "rand", "uuid")
"""Every built-in function of these families."""
_ALSO = (
    *("time.now_ns", "io.jwt.decode_verify"),
    # They know a zone "Local", which is the machine's, and its name can be put together.
    *("time.clock", "time.date", "time.diff", "time.format", "time.weekday"),
)


def impure(ast: Any) -> Iterator[str]:
    """The names of all built-in functions in a syntax tree that do more than compute."""
    if isinstance(ast, list):
        for node in ast:
            yield from impure(node)
    elif isinstance(ast, dict):
        for kind, node in ast.items():
            name = _name({kind: node})
            family, _, rest = name.partition(".")
            if (family in _ELSEWHERE and rest) or name in _ALSO:
                yield name
            yield from impure(node)


def _name(node: dict[str, Any]) -> str:
    """``time.now_ns`` for that reference, and for ``time["now_ns"]``; "" for anything else."""
    match node:
        case {"Var": {"value": str(name)}}:
            return name
        case {"RefDot": {"refr": dict(inner), "field": [_, str(field)]}}:
            return _joined(_name(inner), field)
        case {"RefBrack": {"refr": dict(inner), "index": {"String": {"value": str(field)}}}}:
            return _joined(_name(inner), field)
    return ""


def _joined(name: str, field: str) -> str:
    return f"{name}.{field}" if name else ""
