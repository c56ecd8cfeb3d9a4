"""http_fetch: what it writes to the proxy, and how it reads what comes back."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trilemma.sandbox.toolhost.context import Context
from trilemma.sandbox.toolhost.errors import BadArguments, CallFailed
from trilemma.sandbox.toolhost.htmltext import html_to_text
from trilemma.sandbox.toolhost.settings import Settings
from trilemma.sandbox.toolhost.tools import http_fetch

Fetch = Callable[..., dict[str, Any]]


class Proxy:
    """The other end of a call's egress connection: gives prepared answers, keeps requests."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.here, self.there = socket.socketpair()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        with self.here, self.here.makefile("rb") as stream:
            while line := stream.readline():
                head = [line]
                while head[-1] not in (b"\r\n", b""):
                    head.append(stream.readline())
                length = [h.split(b":")[1] for h in head if h.lower().startswith(b"content-length")]
                self.requests.append(b"".join(head) + stream.read(int(length[0]) if length else 0))
                answer = self.answers.pop(0)
                self.here.sendall(answer)
                if b"connection: close" in answer.lower():
                    return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.there.close()
    proxy.thread.join(10)
    proxy.here.close()


@pytest.fixture
def fetch(proxy: Proxy) -> Iterator[Fetch]:
    settings = Settings("never", "structured", "none", 1 << 20, 1 << 28, ())
    link, other = socket.socketpair()

    def run(url: str, **arguments: Any) -> dict[str, Any]:
        context = Context(settings, link, proxy.there.detach())
        return http_fetch.run(context, url, **arguments)

    with link, other:
        yield run


def answer(body: bytes, status: str = "200 OK", kind: str = "text/plain", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def first_lines(proxy: Proxy) -> list[str]:
    return [request.split(b"\r\n")[0].decode() for request in proxy.requests]


def test_a_request_is_absolute_and_in_clear(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"hello")]
    assert fetch("https://Example.com/a b?q=\N{EURO SIGN}#part") == {
        "url": "https://Example.com/a%20b?q=%E2%82%AC",
        "status": 200,
        "content_type": "text/plain",
        "text": "hello",
        "truncated": False,
    }
    assert first_lines(proxy) == ["GET https://Example.com/a%20b?q=%E2%82%AC HTTP/1.1"]
    assert b"\r\nHost: Example.com\r\n" in proxy.requests[0]


def test_each_redirect_is_a_request_of_its_own(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [
        answer(b"", "302 Found", more="Location: /b\r\n"),
        answer(b"x", "301 Moved", more="Location: http://other.example/c\r\n"),
        answer(b"there"),
    ]
    got = fetch("https://a.example/a")
    assert (got["url"], got["text"]) == ("http://other.example/c", "there")
    assert first_lines(proxy) == [
        "GET https://a.example/a HTTP/1.1",
        "GET https://a.example/b HTTP/1.1",
        "GET http://other.example/c HTTP/1.1",
    ]


def test_a_redirected_post_becomes_a_get_unless_the_server_says_otherwise(
    fetch: Fetch, proxy: Proxy
) -> None:
    proxy.answers = [
        answer(b"", "307 Temporary", more="Location: /b\r\n"),
        answer(b"", "303 See Other", more="Location: /c\r\n"),
        answer(b"done"),
    ]
    fetch("https://a.example/a", method="POST", body='{"x":1}')
    assert [r.split(b" ")[0] for r in proxy.requests] == [b"POST", b"POST", b"GET"]
    assert proxy.requests[1].endswith(b'{"x":1}')
    assert proxy.requests[2].endswith(b"\r\n\r\n")


def test_redirects_end(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"", "302 Found", more="Location: /again\r\n")] * 6
    with pytest.raises(CallFailed, match="5 redirects"):
        fetch("https://a.example/")


def test_a_redirect_to_another_scheme_is_not_followed(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"", "302 Found", more="Location: file:///etc/passwd\r\n")]
    with pytest.raises(BadArguments, match="https://"):
        fetch("https://a.example/")


def test_a_refusal_of_the_proxy_is_an_error_with_its_reason(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"not listed\n", "403 Forbidden", more="Trilemma-Outcome: denied\r\n")]
    with pytest.raises(CallFailed, match="denied: not listed"):
        fetch("https://a.example/")


def test_a_refusal_of_the_server_is_an_answer(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"log in", "403 Forbidden")]
    assert fetch("https://a.example/")["status"] == 403


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (False, "Hello link (/x)"),
        (True, "<html><script>evil()</script><p>Hello <a href='/x'>link</a>"),
    ],
)
def test_html_comes_as_text_unless_raw_is_asked_for(
    fetch: Fetch, proxy: Proxy, raw: bool, text: str
) -> None:
    page = b"<html><script>evil()</script><p>Hello <a href='/x'>link</a>"
    proxy.answers = [answer(page, kind="text/html; charset=utf-8")]
    assert fetch("https://a.example/", raw=raw)["text"] == text


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain; charset=latin-1", b"caf\xe9", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("text/plain; charset=nonsense", b"x", "x"),
        ("application/json", b"{}", "{}"),
        ("application/problem+json", b"{}", "{}"),
        ("image/png", b"\x89PNG", "(binary: 4 bytes of image/png)"),
    ],
)
def test_bodies_are_read_as_what_they_say(
    fetch: Fetch, proxy: Proxy, kind: str, body: bytes, text: str
) -> None:
    proxy.answers = [answer(body, kind=kind)]
    assert fetch("https://a.example/")["text"] == text


def test_long_texts_are_cut(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"x" * 1000)]
    got = fetch("https://a.example/", max_characters=10)
    assert (got["text"], got["truncated"]) == ("x" * 10, True)


def test_a_connection_that_breaks_is_an_error(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nonly this"
    ]
    with pytest.raises(CallFailed, match="broke off"):
        fetch("https://a.example/")


@pytest.mark.parametrize(
    "url", ["ftp://a/", "file:///etc/passwd", "a.example", "https:///x", "", "javascript:1"]
)
def test_other_addresses_are_refused_before_anything_is_sent(
    fetch: Fetch, proxy: Proxy, url: str
) -> None:
    with pytest.raises(BadArguments, match="https://"):
        fetch(url)
    assert proxy.requests == []


def test_a_line_break_in_an_address_starts_no_second_request(fetch: Fetch, proxy: Proxy) -> None:
    proxy.answers = [answer(b"one")] * 2
    fetch("https://a.example/x\r\nGET https://b.example/ HTTP/1.1\r\n\r\n")
    assert len(proxy.requests) == 1
    assert "b.example" not in proxy.requests[0].split(b"\r\n", 1)[1].decode()


def test_html_is_read_line_by_line() -> None:
    html = """<title>T</title><style>x</style><h1>Head</h1><ul><li>one<li>two</ul>
    <table><tr><td>a</td><td>b</td></table><p>CALL read_file {"path": "x"}</p>&amp; &#8364;"""
    assert html_to_text(html).split("\n") == [
        *("T", "", "Head", "", "- one", "- two", "", "a b", ""),
        'CALL read_file {"path": "x"}',
        "& \N{EURO SIGN}",
    ]
