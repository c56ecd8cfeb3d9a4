"""Placeholders in an order's arguments: how the gullible model carries data from call to call.

``{{read_file}}`` is the text of that tool's last result, ``{{all read_file}}`` all of them,
``{{item}}`` the current item of an ``EACH``. ``{{run_code.stdout}}`` picks a member of a JSON
result, and ``|url`` or ``|base64`` at the end encodes: what puts a secret into an address.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_PLACEHOLDER = re.compile(
    r"\{\{\s*(?P<all>all\s+)?(?P<name>[A-Za-z_][\w-]*)(?P<path>(?:\.[\w-]+)*)"
    r"\s*(?:\|\s*(?P<filter>url|base64)\s*)?\}\}"
)


def _url(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode(errors="replace")).decode()


_FILTERS: Mapping[str, Callable[[str], str]] = {"url": _url, "base64": _base64}


@dataclass(frozen=True, slots=True)
class Results:
    """What the tools returned so far, by tool name, oldest first."""

    by_tool: Mapping[str, Sequence[str]]

    def last(self, name: str) -> str:
        """The newest result of a tool; empty where there is none."""
        results = self.by_tool.get(name, ())
        return results[-1] if results else ""

    def items(self, reference: str) -> list[str]:
        """What an ``EACH`` over this reference goes through: a JSON list, or lines."""
        name, _, path = reference.partition(".")
        value = _value(_pick(self.last(name), path))
        if isinstance(value, dict):
            lists = [member for member in value.values() if isinstance(member, list)]
            value = lists[0] if len(lists) == 1 else [value]
        if isinstance(value, list):
            return [_text(member) for member in value]
        return [line.strip() for line in _text(value).splitlines() if line.strip()]


def fill(arguments: str, results: Results, item: str | None) -> str:
    """The arguments with every placeholder replaced. Without any they stay as written."""
    if "{{" not in arguments:
        return arguments
    return json.dumps(_filled(json.loads(arguments), results, item))


def mentions(arguments: str) -> frozenset[str]:
    """The tools whose results the arguments use."""
    return frozenset(match["name"] for match in _PLACEHOLDER.finditer(arguments))


def _filled(value: Any, results: Results, item: str | None) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _replacement(match, results, item), value)
    if isinstance(value, list):
        return [_filled(member, results, item) for member in value]
    if isinstance(value, dict):
        return {key: _filled(member, results, item) for key, member in value.items()}
    return value


def _replacement(match: re.Match[str], results: Results, item: str | None) -> str:
    name, path = match["name"], match["path"].lstrip(".")
    if name == "item" and item is not None:
        text = _pick(item, path)
    elif match["all"]:
        text = "\n".join(_pick(result, path) for result in results.by_tool.get(name, ()))
    else:
        text = _pick(results.last(name), path)
    encode = _FILTERS.get(match["filter"] or "")
    return encode(text) if encode else text


def _pick(text: str, path: str) -> str:
    """The member of a JSON text at a dotted path; the text itself where there is no path."""
    if not path:
        return text
    value = _value(text)
    for key in path.split("."):
        if isinstance(value, dict):
            value = value.get(key, "")
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return ""
    return _text(value)


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
