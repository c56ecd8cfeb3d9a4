"""A typed function as a tool: name, description and JSON Schema from its signature."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from . import schema
from .errors import BadArguments
from .frames import FrameError, dumps
from .hints import Schema, SignatureError, build, schema_of

__all__ = ["Described", "SignatureError", "describe", "keywords"]

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns|Return|Raises|Yields|Examples?|Notes?):\s*$", re.MULTILINE
)
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Described:
    """A function as models see it."""

    name: str
    description: str
    parameters: Schema
    """JSON Schema of the arguments object."""


def describe(function: Callable[..., Any]) -> Described:
    """Read a function's signature and docstring.

    Raises:
        SignatureError: it cannot be a tool as it is written; the text says what to change.

    """
    name = function.__name__
    documented = _Documentation.of(function)
    properties: dict[str, Schema] = {}
    required = []
    for parameter, hint in _parameters(function):
        try:
            shape = schema_of(hint)
        except SignatureError as error:
            raise SignatureError(f"{name}({parameter.name}): {error}") from None
        if parameter.name in documented.arguments:
            shape.setdefault("description", documented.arguments[parameter.name])
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif _is_json(parameter.default):
            shape["default"] = parameter.default
        properties[parameter.name] = shape
    parameters: Schema = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    return Described(name, documented.description, parameters | {"additionalProperties": False})


def keywords(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """JSON arguments as the Python values that the function's hints promise.

    Raises:
        BadArguments: they are not what the signature says.

    """
    schema.check(arguments, describe(function).parameters)
    hints = {parameter.name: hint for parameter, hint in _parameters(function)}
    try:
        return {name: build(hints[name], value) for name, value in arguments.items()}
    except (TypeError, ValueError) as error:
        raise BadArguments(f"the arguments cannot be used: {error}") from None


def _parameters(function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
    name = function.__name__
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise SignatureError(f"{name} must be a plain function, not async and without yield")
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # A hint is an expression: it can fail in any way.
        raise SignatureError(f"the type hints of {name} cannot be read: {error}") from None
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SignatureError(f"{name}({parameter}): a tool's arguments have names")
        if parameter.name not in hints:
            raise SignatureError(
                f"{name}({parameter.name}) has no type; write {parameter.name}: str"
            )
        found.append((parameter, hints[parameter.name]))
    return found


def _is_json(value: Any) -> bool:
    try:
        dumps(value)
    except FrameError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Documentation:
    """A docstring in Google's style, taken apart."""

    description: str
    arguments: dict[str, str]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_Documentation":
        text = inspect.getdoc(function) or ""
        description, *sections = _SECTION.split(text)
        arguments: dict[str, str] = {}
        for title, body in zip(sections[::2], sections[1::2], strict=True):
            if title in ("Args", "Arguments", "Parameters"):
                arguments = _documented_arguments(body)
        return cls(description.strip(), arguments)


def _documented_arguments(body: str) -> dict[str, str]:
    """``name (type): text``, where deeper indented lines go on with the text."""
    found: dict[str, str] = {}
    at = ""
    lines = [line for line in body.splitlines() if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    for line in lines:
        match = _ARGUMENT.match(line[margin:])
        if match and not line[margin].isspace():
            at = match[1]
            found[at] = match[2].strip()
        elif at:
            found[at] = f"{found[at]} {line.strip()}".strip()
    return found
