"""The proxy makes the TLS, and checks whom it speaks with."""

import socket
from collections.abc import Callable
from typing import Any

from trilemma.sandbox.egress.request import EgressRequest, Outcome

Make = Callable[..., Any]


def test_a_request_to_https_goes_out_encrypted_and_checked(
    origin: Make, watched: Make, inside: Make, authority: Any, allow: Any
) -> None:
    server = origin(tls=authority.server("good.example"))
    proxy = watched(allow, server, hosts={"good.example": "127.0.0.1"}, ca_file=authority.file)
    reply = inside(proxy).request("GET", f"https://good.example:{server.port}/a")
    assert (reply.status, reply.body) == (200, b"hello")
    assert server.seen[0].startswith(b"GET /a HTTP/1.1\r\n")
    asked: EgressRequest = proxy.asked[0]
    assert (asked.scheme, asked.host, asked.port) == ("https", "good.example", server.port)


def test_an_address_can_be_spoken_with_as_well(
    origin: Make, watched: Make, inside: Make, authority: Any, allow: Any
) -> None:
    server = origin(tls=authority.server("127.0.0.1"))
    proxy = watched(allow, server, ca_file=authority.file)
    assert inside(proxy).request("GET", f"https://127.0.0.1:{server.port}/").status == 200


def test_a_certificate_of_another_host_is_refused(
    origin: Make, watched: Make, inside: Make, authority: Any, allow: Any
) -> None:
    server = origin(tls=authority.server("evil.example"))
    proxy = watched(allow, server, hosts={"good.example": "127.0.0.1"}, ca_file=authority.file)
    reply = inside(proxy).request("GET", f"https://good.example:{server.port}/canary")
    assert (reply.status, reply.outcome) == (502, "tls_failed")
    assert server.seen == []
    assert proxy.end().outcome is Outcome.TLS_FAILED


def test_an_unknown_authority_is_refused(
    origin: Make, watched: Make, inside: Make, authority: Any, allow: Any
) -> None:
    """And with it named, in the test above, the same exchange passes."""
    server = origin(tls=authority.server("good.example"))
    proxy = watched(allow, server, hosts={"good.example": "127.0.0.1"})
    reply = inside(proxy).request("GET", f"https://good.example:{server.port}/canary")
    assert (reply.status, reply.outcome) == (502, "tls_failed")
    assert server.seen == []


def test_a_server_without_tls_gets_no_request(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    arrived = bytearray()

    def plain(sock: socket.socket) -> None:
        arrived.extend(sock.recv(65536))
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = origin(raw=plain)
    reply = inside(watched(allow, server)).request("GET", f"https://127.0.0.1:{server.port}/canary")
    assert (reply.status, reply.outcome) == (502, "tls_failed")
    assert arrived
    assert b"canary" not in arrived
