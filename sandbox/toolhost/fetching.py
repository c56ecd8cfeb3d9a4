"""HTTP over a call's connection to the egress proxy.

Requests are absolute and in clear, so that the proxy can read them; the proxy makes the TLS.
"""

import http.client
import socket
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from .errors import BadArguments, CallFailed

LARGEST = 4 * 1024 * 1024
"""Bytes of a response that are read at most."""

_HOPS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})
_OUTCOME = "Trilemma-Outcome"
"""Marks an answer of the proxy itself; it never passes one from the other side."""


class Request(NamedTuple):
    """What to ask for."""

    method: str
    url: str
    body: bytes = b""
    content_type: str = ""


class Response(NamedTuple):
    """What came, from where in the end."""

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes
    truncated: bool


def fetch(sock: socket.socket, request: Request) -> Response:
    """Send a request and follow redirects; each is a request anew, decided anew."""
    connection = http.client.HTTPConnection("egress")
    # Without auto_open a lost connection is an error, not an attempt to make another.
    connection.auto_open = 0
    connection.sock = sock
    request = Request(request.method, _absolute(request.url), request.body, request.content_type)
    for _ in range(_HOPS + 1):
        answer = _exchange(connection, request)
        location = answer.getheader("Location") if answer.status in _MOVED else None
        if location is None:
            return _response(request.url, answer)
        if len(answer.read(LARGEST)) == LARGEST or answer.will_close:
            raise CallFailed(f"{request.url} redirects to {location[:500]!r}; fetch that instead")
        request = _redirected(request, answer.status, location)
    raise CallFailed(f"more than {_HOPS} redirects; the last led to {request.url}")


def _exchange(connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
    try:
        connection.putrequest(
            request.method, request.url, skip_host=True, skip_accept_encoding=True
        )
        connection.putheader("Host", urlsplit(request.url).netloc)
        connection.putheader("Accept", "*/*")
        if request.body or request.method not in ("GET", "HEAD"):
            connection.putheader("Content-Type", request.content_type)
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise CallFailed(f"the egress proxy ended the connection: {error!r}") from None
    if (outcome := answer.getheader(_OUTCOME)) is not None:
        text = answer.read(4000).decode(errors="replace").strip()
        raise CallFailed(f"{request.url}: {outcome}: {text}")
    return answer


def _redirected(request: Request, status: int, location: str) -> Request:
    url = _absolute(urljoin(request.url, location))
    if status in _KEEPS_METHOD or request.method in ("GET", "HEAD"):
        return Request(request.method, url, request.body, request.content_type)
    return Request("GET", url)


def _response(url: str, answer: http.client.HTTPResponse) -> Response:
    try:
        body = answer.read(LARGEST + 1)
    except (http.client.HTTPException, OSError) as error:
        raise CallFailed(f"the answer from {url} broke off: {error!r}") from None
    if answer.length and len(body) <= LARGEST:
        raise CallFailed(f"the answer from {url} broke off: {answer.length} bytes are missing")
    return Response(
        url=url,
        status=answer.status,
        content_type=answer.headers.get_content_type(),
        charset=answer.headers.get_content_charset() or "utf-8",
        body=body[:LARGEST],
        truncated=len(body) > LARGEST,
    )


def _absolute(url: str) -> str:
    """The URL in the form that travels: ASCII, without a fragment."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadArguments(f"url must begin with https:// or http://, not {url!r:.200}")
    try:
        netloc = parts.netloc
        if not netloc.isascii():
            netloc = netloc.encode("idna").decode()
    except UnicodeError:
        raise BadArguments(f"{parts.netloc!r:.200} is not a host name") from None
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=-._~?")
    return urlunsplit((parts.scheme, netloc, path, query, ""))
