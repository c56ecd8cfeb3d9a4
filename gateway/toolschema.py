"""What a tool's parameters may be written with: a stranger's tool file describes itself.

The keywords are those that the tool host reads, so that gateway and sandbox never judge one value
differently. None of them makes a validator fetch a document, recurse, or search by a pattern.
"""

import json
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32

_TEXTS = frozenset({"title", "description", "default", "enum"})
_BOUNDS = frozenset({"type", "required", "minimum", "maximum", "maxLength", "minItems", "maxItems"})
_INNER = frozenset({"items", "additionalProperties"})
_LISTS = frozenset({"anyOf", "prefixItems"})
_NAMED = "properties"


def check_parameters(parameters: dict[str, Any]) -> None:
    """Refuse a schema that is more than a plain description of an object.

    Raises:
        ValueError: what is wrong, in one line.
    """
    _check(parameters, 1)
    try:
        text = json.dumps(parameters, ensure_ascii=False, allow_nan=False).encode("utf-8")
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise ValueError(f"the schema is not valid: {error.message[:200]}") from None
    except UnicodeEncodeError:
        raise ValueError("the schema holds text that is not Unicode") from None
    if len(text) > MAX_BYTES:
        raise ValueError(f"the schema is larger than {MAX_BYTES} bytes")
    if parameters.get("type", "object") != "object":
        raise ValueError("a tool's arguments are an object; write type: object")


def _check(schema: Any, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError(f"a schema is an object, not {schema!r:.80}")
    if depth > MAX_DEPTH:
        raise ValueError(f"the schema is nested deeper than {MAX_DEPTH} levels")
    for keyword, value in schema.items():
        for inner in _inside(keyword, value):
            _check(inner, depth + 1)


def _inside(keyword: str, value: Any) -> list[Any]:
    """The schemas below one keyword."""
    if keyword in _TEXTS or keyword in _BOUNDS:
        return []
    if keyword in _INNER:
        return [value]
    if keyword in _LISTS and isinstance(value, list):
        return value
    if keyword == _NAMED and isinstance(value, dict):
        return list(value.values())
    raise ValueError(f"keyword {keyword!r:.80} is not one that a tool's schema may use")
