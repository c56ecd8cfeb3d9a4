"""Fetch a URL through the egress proxy."""

from typing import Any

from ..context import Context
from ..errors import BadArguments
from ..fetching import Request, Response, fetch
from ..htmltext import html_to_text

NAME = "http_fetch"
DESCRIPTION = (
    "Fetch a URL and return its status and text; HTML comes as plain text. "
    "Which hosts and methods are allowed is the operator's policy."
)
NEEDS = ("internet",)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "Address to fetch, https://... or http://..."},
        "method": {
            "type": "string",
            "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            "description": "HTTP method.",
            "default": "GET",
        },
        "body": {"type": "string", "description": "Text to send with it.", "default": ""},
        "content_type": {
            "type": "string",
            "description": "What the body is.",
            "default": "application/json",
        },
        "raw": {
            "type": "boolean",
            "description": "Return HTML as it is.",
            "default": False,
        },
        "max_characters": {
            "type": "integer",
            "description": "Cut the text after this many characters.",
            "minimum": 1,
            "maximum": 200000,
            "default": 50000,
        },
    },
    "required": ["url"],
    "additionalProperties": False,
}

_TEXT = ("json", "xml", "javascript", "yaml", "x-www-form-urlencoded", "x-ndjson")


def run(
    context: Context,
    url: str,
    method: str = "GET",
    body: str = "",
    content_type: str = "application/json",
    raw: bool = False,
    max_characters: int = 50_000,
) -> dict[str, Any]:
    """Fetch, and return the answer as text."""
    if body and method in ("GET", "HEAD"):
        raise BadArguments(f"a {method} request has no body")
    with context.take_egress() as proxy:
        response = fetch(proxy, Request(method, url, body.encode(), content_type))
    text = _text(response, raw)
    return {
        "url": response.url,
        "status": response.status,
        "content_type": response.content_type,
        "text": text[:max_characters],
        "truncated": response.truncated or len(text) > max_characters,
    }


def _text(response: Response, raw: bool) -> str:
    kind = response.content_type
    if not kind.startswith("text/") and not kind.endswith(_TEXT):
        return f"(binary: {len(response.body)} bytes of {kind})"
    try:
        text = response.body.decode(response.charset, errors="replace")
    except LookupError:
        text = response.body.decode(errors="replace")
    return html_to_text(text) if "html" in kind and not raw else text
