"""Type hints as JSON Schema, and JSON values as what the hints promise."""

import dataclasses
import enum
import pathlib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from . import schema
from .errors import BadArguments

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    dict: {"type": "object"},
    pathlib.Path: {"type": "string"},
    Any: {},
}
_SUPPORTED = (
    "str, int, float, bool, None, Literal, Enum, list, tuple, dict[str, ...], X | None, "
    "Path, Annotated, TypedDict and dataclasses"
)


class SignatureError(ValueError):
    """A function cannot be a tool as it is written."""


def schema_of(hint: Any, within: tuple[Any, ...] = ()) -> Schema:
    """The JSON Schema of one type hint.

    Raises:
        SignatureError: the type has no JSON form here.

    """
    if hint in within:
        raise SignatureError(f"type {_name(hint)} refers to itself")
    if isinstance(hint, typing.Hashable) and hint in _PLAIN:
        return dict(_PLAIN[hint])
    if isinstance(hint, typing.NewType):
        return schema_of(hint.__supertype__, within)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _choices([member.value for member in hint])
    if (fields := fields_of(hint)) is not None:
        return _object(fields, (*within, hint))
    return _generic(hint, within)


def _generic(hint: Any, within: tuple[Any, ...]) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        inner = schema_of(arguments[0], within)
        notes = [note for note in arguments[1:] if isinstance(note, str)]
        return inner | {"description": " ".join(notes)} if notes else inner
    if origin is Literal:
        return _choices(list(arguments))
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(argument, within) for argument in arguments]}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0], within)}
    if origin is tuple:
        return _tuple(arguments, within)
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], within)}
    raise SignatureError(f"type {_name(hint)} has no JSON form; supported are {_SUPPORTED}")


def _tuple(arguments: tuple[Any, ...], within: tuple[Any, ...]) -> Schema:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": schema_of(arguments[0], within)}
    items = [schema_of(argument, within) for argument in arguments]
    size = {"minItems": len(items), "maxItems": len(items)}
    return {"type": "array", "prefixItems": items, **size}


def _choices(values: list[Any]) -> Schema:
    if not values or not all(isinstance(value, str | int | None) for value in values):
        raise SignatureError(f"choices must be text, whole numbers or None, not {values!r}")
    if all(isinstance(value, str) for value in values):
        return {"type": "string", "enum": values}
    return {"enum": values}


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One named part of a TypedDict or dataclass."""

    name: str
    hint: Any
    required: bool


def fields_of(hint: Any) -> list[Field] | None:
    """The fields of a TypedDict or dataclass; None for any other hint."""
    if not isinstance(hint, type):
        return None
    if typing.is_typeddict(hint):
        required: frozenset[str] = hint.__required_keys__  # type: ignore[attr-defined]
        found = get_type_hints(hint, include_extras=False).items()
        return [Field(name, inner, name in required) for name, inner in found]
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        return [
            Field(field.name, hints[field.name], _has_no_default(field))
            for field in dataclasses.fields(hint)
            if field.init
        ]
    return None


def _has_no_default(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _object(fields: list[Field], within: tuple[Any, ...]) -> Schema:
    return {
        "type": "object",
        "properties": {field.name: schema_of(field.hint, within) for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def build(hint: Any, value: Any) -> Any:
    """The Python value of a JSON value that :func:`schema_of` describes (it was checked)."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, typing.NewType):
        return build(hint.__supertype__, value)
    if origin is typing.Annotated:
        return build(arguments[0], value)
    if origin in (Union, types.UnionType):
        return build(_fitting(arguments, value), value)
    if origin is list:
        return [build(arguments[0], item) for item in value]
    if origin is tuple:
        each = arguments[:1] * len(value) if arguments[1:] == (Ellipsis,) else arguments
        return tuple(build(inner, item) for inner, item in zip(each, value, strict=True))
    if origin is dict:
        return {key: build(arguments[1], item) for key, item in value.items()}
    if hint is float:
        return float(value)
    if isinstance(hint, type) and issubclass(hint, enum.Enum | pathlib.Path):
        return hint(value)
    if (fields := fields_of(hint)) is not None:
        return _build_object(hint, fields, value)
    return value


def _build_object(hint: type, fields: list[Field], value: Mapping[str, Any]) -> Any:
    hints = {field.name: field.hint for field in fields}
    return hint(**{name: build(hints[name], item) for name, item in value.items()})


def _fitting(hints: tuple[Any, ...], value: Any) -> Any:
    for hint in hints:
        try:
            schema.check(value, schema_of(hint))
        except BadArguments:
            continue
        return hint
    raise BadArguments(f"{value!r:.80} fits none of the types")


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else repr(hint)
