"""Checks JSON arguments against the part of JSON Schema that tools here are described with."""

from typing import Any

from .errors import BadArguments

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def check(value: Any, schema: dict[str, Any], where: str = "") -> None:
    """Raise BadArguments where ``value`` is not what ``schema`` describes."""
    if "anyOf" in schema:
        _any(value, schema["anyOf"], where)
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        choices = ", ".join(map(repr, schema["enum"]))
        raise BadArguments(f"{_at(where)} must be one of {choices}, not {value!r:.80}")
    if (kind := schema.get("type")) is not None and not _is(value, kind):
        raise BadArguments(f"{_at(where)} must be of type {kind}, not {value!r:.80}")
    _bounds(value, schema, where)
    if isinstance(value, dict):
        _object(value, schema, where)
    if isinstance(value, list):
        _array(value, schema, where)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _same(value: Any, choice: Any) -> bool:
    return type(value) is type(choice) and bool(value == choice)


def _any(value: Any, schemas: list[dict[str, Any]], where: str) -> None:
    problems = []
    for schema in schemas:
        try:
            check(value, schema, where)
        except BadArguments as error:
            problems.append(str(error))
        else:
            return
    raise BadArguments("; or ".join(problems))


def _bounds(value: Any, schema: dict[str, Any], where: str) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            raise BadArguments(f"{_at(where)} must be at least {schema['minimum']}, not {value!r}")
        if value > schema.get("maximum", value):
            raise BadArguments(f"{_at(where)} must be at most {schema['maximum']}, not {value!r}")
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        raise BadArguments(f"{_at(where)} must have at most {schema['maxLength']} characters")


def _object(value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
    properties: dict[str, Any] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            raise BadArguments(f"{_at(_join(where, name))} is missing")
    others = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in properties:
            check(inner, properties[name], _join(where, name))
        elif others is False:
            known = ", ".join(properties) or "none"
            raise BadArguments(f"there is no argument {_join(where, name)!r:.80}; known: {known}")
        elif isinstance(others, dict):
            check(inner, others, _join(where, name))


def _array(value: list[Any], schema: dict[str, Any], where: str) -> None:
    shapes: list[dict[str, Any]] = schema.get("prefixItems", [])
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        raise BadArguments(f"{_at(where)} has the wrong number of items: {len(value)}")
    for index, inner in enumerate(value):
        shape = shapes[index] if index < len(shapes) else schema.get("items")
        if isinstance(shape, dict):
            check(inner, shape, f"{where}[{index}]")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _at(where: str) -> str:
    return where or "the arguments"
