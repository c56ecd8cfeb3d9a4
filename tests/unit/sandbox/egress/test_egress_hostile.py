"""Whatever comes out of a sandbox, the proxy lives, asks in one spelling, and lets nothing pass."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from trilemma.sandbox.egress.hosts import canonical_host
from trilemma.sandbox.egress.request import EgressAnswer
from trilemma.sandbox.toolhost.errors import CallFailed
from trilemma.sandbox.toolhost.fetching import Request, fetch

Make = Callable[..., Any]

WORDS = st.sampled_from(
    [
        *b"GET |POST |CONNECT |http://|https://|127.0.0.1|a.example|/|:80| HTTP/1.1".split(b"|"),
        b"\r\n",
        b"\r\n\r\n",
        b"Host: x",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"0\r\n\r\n",
        b"Expect: 100-continue",
        b"@",
        b"%",
        b"[::1]",
        b"\x00",
        b"#",
    ]
)
JUNK = st.lists(WORDS | st.binary(max_size=4), max_size=12).map(b"".join)
TARGETS = st.from_regex(rb"https?://[A-Za-z0-9.:@%\[\]\\-]{1,20}(/[!-~]{0,9})?", fullmatch=True)
REQUESTS = TARGETS.map(lambda target: b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")


def test_the_tool_host_s_own_client_is_understood(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    end = origin()
    moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{end.port}/b\r\n"
    start = origin(f"{moved}Content-Length: 0\r\n\r\n".encode())
    proxy = watched(allow, start, end)
    response = fetch(inside(proxy).sock, Request("GET", f"http://127.0.0.1:{start.port}/a"))
    assert (response.status, response.body) == (200, b"hello")
    assert [request.port for request in proxy.asked] == [start.port, end.port]


def test_the_tool_host_s_own_client_tells_a_refusal_from_an_answer(
    watched: Make, inside: Make
) -> None:
    proxy = watched(lambda _: EgressAnswer(allow=False, reason_text="not listed"))
    with pytest.raises(CallFailed, match="denied: not listed"):
        fetch(inside(proxy).sock, Request("GET", "http://a.example/"))


def test_a_sandbox_that_sends_anything_changes_nothing(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin()
    proxy = watched(lambda _: EgressAnswer(allow=False, reason_text="no"), server)

    @settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
    @given(JUNK | REQUESTS)
    @example(b"GET HTTP://A.Example.:080/ HTTP/1.1\r\nHost: x\r\n\r\n")
    def hostile(raw: bytes) -> None:
        with proxy.proxy.connect("call") as sock, contextlib.suppress(OSError):
            sock.sendall(raw)
            sock.shutdown(1)
            while sock.recv(65536):
                pass

    hostile()
    assert server.connections == 0
    assert proxy.proxy.alive
    assert any(request.host == "a.example" for request in proxy.asked)
    for request in proxy.asked:
        assert canonical_host(request.host) == request.host
        assert request.structured
        assert request.scheme in ("http", "https")
        assert 0 < request.port < 65536
