"""Turns a model's validation errors into lines that a person can act on."""

import difflib
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MOST = 10
_LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake, in one line."""

    location: tuple[int | str, ...]
    text: str


def mistakes(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """One line for each mistake: where, what is wrong, the value, and the way on."""
    found = error.errors(include_url=False)
    lines = [Mistake(detail["loc"], _line(detail, model)) for detail in found[:_MOST]]
    if len(found) > _MOST:
        lines.append(Mistake((), f"... and {len(found) - _MOST} more"))
    return lines


def _line(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = detail["loc"]
    where = _path(location) or "the file"
    match detail["type"]:
        case "extra_forbidden":
            return f"{where}: unknown field{_nearest(location, model)}"
        case "missing":
            return f"{where}: missing; this field is required"
        case "value_error":
            return f"{where}: {detail['ctx']['error']}"
        case _:
            return f"{where}: {_lower(detail['msg'])}, not {_value(detail['input'])}"


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _nearest(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    known = list(_fields_at(location[:-1], model))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; the fields here are: {', '.join(known)}" if known else ""


def _fields_at(location: tuple[int | str, ...], model: type[BaseModel]) -> Iterator[str]:
    here: list[Any] = [model]
    for step in location:
        fields = [
            m.model_fields[step] for m in here if isinstance(step, str) and step in m.model_fields
        ]
        if fields:
            here = [m for field in fields for m in _models_in(field.annotation)]
    for found in here:
        for name, field in found.model_fields.items():
            yield field.alias or name


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
