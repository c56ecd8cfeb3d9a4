"""A call's arguments: parsed strictly, checked against the schema, passed on in canonical form."""

import hashlib
import json
from typing import Any

import jsonschema
import referencing

from .tools import ToolDefinition

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class BadArguments(Exception):
    """The arguments cannot be used; the text tells a model what to write instead."""


def parse(text: str, tool: ToolDefinition) -> dict[str, Any]:
    """The arguments of a call of ``tool``.

    What is returned is what the tool gets, so gateway and tool cannot read it differently.

    Raises:
        BadArguments: not JSON, a duplicate key, too large, too deep, or not what the schema says.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadArguments(f"the arguments are larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(text or "{}", object_pairs_hook=_unique, parse_constant=_no_constant)
        canonical(value)
    except (ValueError, RecursionError) as error:
        raise BadArguments(f"the arguments are not usable JSON: {error}") from None
    if _depth(value) > MAX_DEPTH:
        raise BadArguments(f"the arguments are nested deeper than {MAX_DEPTH} levels")
    try:
        problem = next(iter(_validator(tool).iter_errors(value)), None)
    except Exception as error:
        raise BadArguments(f"they cannot be checked: {type(error).__name__}") from None
    if problem is not None:
        place = ".".join(str(step) for step in problem.absolute_path) or "arguments"
        raise BadArguments(f"{place}: {problem.message[:300]}")
    if not isinstance(value, dict):
        raise BadArguments("the arguments are not an object")
    return value


def canonical(value: Any) -> str:
    """One text for one value: sorted keys, no spaces. Refuses NaN and lone surrogates."""
    text = _CANONICAL.encode(value)
    if "\\ud" in text:  # An escaped surrogate: half a pair is no text.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return text


def digest(value: Any) -> str:
    """Hash of the canonical form: what the ledger keeps instead of the arguments themselves."""
    return "sha256:" + hashlib.sha256(canonical(value).encode()).hexdigest()


_NOTHING_ELSE: referencing.Registry[Any] = referencing.Registry()
_validators: dict[str, jsonschema.Draft202012Validator] = {}


def _validator(tool: ToolDefinition) -> jsonschema.Draft202012Validator:
    found = _validators.get(tool.identity)
    if found is None:
        schema = {"type": "object", **tool.parameters}
        # Without a registry of its own it would fetch what a $ref names, from this process.
        found = jsonschema.Draft202012Validator(schema, registry=_NOTHING_ELSE)
        _validators[tool.identity] = found
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r}")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return deepest
