"""The arguments of a tool call: JSON text as a model wrote it, parsed strictly, once."""

import json
from typing import Any, NoReturn

from trilemma.errors import SpecError

from .messages import ToolCall

MAX_CHARACTERS = 1_048_576
MAX_DEPTH = 32


def parse_arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments as JSON values. No text at all means no arguments.

    A model's text and the tool's reading of it must not differ, so whatever two parsers could
    read differently is refused: duplicate keys, NaN and infinities, lone surrogates.

    Raises:
        SpecError: the text is no JSON object, or is ambiguous, too long or too deep.

    """
    if len(call.arguments) > MAX_CHARACTERS:
        raise _refusal(call, f"they are longer than {MAX_CHARACTERS} characters")
    if not call.arguments.strip():
        return {}
    value = _decode(call)
    if not isinstance(value, dict):
        raise _refusal(call, f"they must be a JSON object, not {type(value).__name__}")
    _check(call, value, 1)
    return value


def _decode(call: ToolCall) -> Any:
    try:
        return json.loads(call.arguments, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise _refusal(call, f"they are nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise _refusal(call, f"they are not valid JSON ({error})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check(call: ToolCall, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refusal(call, f"they are nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise _refusal(call, "they hold half of a surrogate pair")
    elif isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            raise _refusal(call, "they hold a number that is too large")
    elif isinstance(value, list):
        for member in value:
            _check(call, member, depth + 1)
    elif isinstance(value, dict):
        for key, member in value.items():
            _check(call, key, depth)
            _check(call, member, depth + 1)


def _refusal(call: ToolCall, why: str) -> SpecError:
    return SpecError(f"the arguments of {call.name!r} cannot be used: {why}; send one JSON object")
