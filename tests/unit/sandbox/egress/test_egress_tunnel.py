"""Tunnels: CONNECT through a listening socket, decided, checked, counted."""

import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxError
from trilemma.sandbox.egress.request import EgressAnswer, EgressRequest, Mode, Outcome

Make = Callable[..., Any]


def echo(sock: socket.socket) -> None:
    while chunk := sock.recv(65536):
        sock.sendall(chunk.upper())


@pytest.fixture
def tunnels(watched: Make, tmp_path: Path) -> Make:
    """A proxy that listens; gives it and where."""

    def make(*arguments: Any, **settings: Any) -> Any:
        made = watched(*arguments, mode=Mode.TUNNEL, **settings)
        made.path = tmp_path / "egress.sock"
        made.proxy.listen(made.path, call="container-1")
        return made

    return make


def test_a_tunnel_carries_bytes_both_ways(
    origin: Make, tunnels: Make, inside: Make, allow: Any
) -> None:
    server = origin(raw=echo)
    proxy = tunnels(allow, server)
    sandbox = inside(proxy, path=proxy.path)
    assert sandbox.request("CONNECT", f"127.0.0.1:{server.port}").status == 200
    sandbox.send(b"hello")
    assert sandbox.sock.recv(100) == b"HELLO"
    sandbox.sock.shutdown(socket.SHUT_WR)
    assert sandbox.rest() == b""

    assert proxy.asked == [
        EgressRequest("container-1", "127.0.0.1", server.port, "tunnel", "CONNECT", 0, False)
    ]
    end = proxy.end()
    assert (end.outcome, end.bytes_out, end.bytes_in) == (Outcome.DONE, 5, 5)


def test_bytes_sent_together_with_connect_arrive(
    origin: Make, tunnels: Make, inside: Make, allow: Any
) -> None:
    server = origin(raw=echo)
    proxy = tunnels(allow, server)
    sandbox = inside(proxy, path=proxy.path)
    sandbox.send(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: x\r\n\r\nearly")
    received = b""
    while not received.endswith(b"EARLY"):
        received += sandbox.sock.recv(100)
    assert proxy.asked != []


def test_a_denied_tunnel_connects_to_nothing(origin: Make, tunnels: Make, inside: Make) -> None:
    server = origin(raw=echo)
    proxy = tunnels(lambda _: EgressAnswer(allow=False, reason_text="no"), server)
    reply = inside(proxy, path=proxy.path).request("CONNECT", f"127.0.0.1:{server.port}")
    assert (reply.status, reply.outcome, reply.body) == (403, "denied", b"no\n")
    assert server.connections == 0


def test_plain_requests_pass_too_and_keep_their_fields(
    origin: Make, tunnels: Make, inside: Make, allow: Any
) -> None:
    server = origin()
    proxy = tunnels(allow, server)
    reply = inside(proxy, path=proxy.path).request(
        "GET",
        f"http://127.0.0.1:{server.port}/",
        "User-Agent: curl",
        "X-Any: 1",
        "Proxy-Connection: Keep-Alive",
        "Proxy-Authorization: Basic x",
        "Connection: X-Hop",
        "X-Hop: 1",
    )
    assert reply.status == 200
    [seen] = server.seen
    assert b"user-agent: curl\r\n" in seen
    assert b"x-any: 1\r\n" in seen
    assert not any(name in seen for name in (b"proxy-", b"x-hop", b"anything"))
    assert proxy.asked[0].structured is False
    assert proxy.asked[0].scheme == "http"


def test_a_tunnel_is_cut_when_its_budget_is_used(origin: Make, tunnels: Make, inside: Make) -> None:
    arrived = bytearray()

    def sink(sock: socket.socket) -> None:
        while chunk := sock.recv(65536):
            arrived.extend(chunk)

    def frugal(_: EgressRequest) -> EgressAnswer:
        return EgressAnswer(allow=True, budget_bytes_out=10, max_bytes_in=10)

    server = origin(raw=sink)
    proxy = tunnels(frugal, server)
    sandbox = inside(proxy, path=proxy.path)
    assert sandbox.request("CONNECT", f"127.0.0.1:{server.port}").status == 200
    sandbox.send(b"0123456789")
    sandbox.send(b"canary")
    assert sandbox.rest() == b""
    end = proxy.end()
    assert end.outcome is Outcome.BUDGET_USED
    assert end.bytes_out <= 10
    assert b"canary" not in arrived


def test_parallel_tunnels_share_the_budget_of_the_process(
    origin: Make, tunnels: Make, inside: Make, allow: Any
) -> None:
    server = origin(raw=echo)
    proxy = tunnels(allow, server, budget_bytes_out=10)
    sandboxes = [inside(proxy, path=proxy.path) for _ in range(2)]
    for sandbox in sandboxes:
        assert sandbox.request("CONNECT", f"127.0.0.1:{server.port}").status == 200
    sandboxes[0].send(b"123456")
    assert sandboxes[0].sock.recv(10) == b"123456"
    sandboxes[1].send(b"123456")
    assert sandboxes[1].rest() == b""
    assert proxy.end().outcome is Outcome.BUDGET_USED


def test_a_tunnel_is_cut_when_it_brings_in_too_much(
    origin: Make, tunnels: Make, inside: Make
) -> None:
    server = origin(raw=lambda sock: sock.sendall(b"x" * 1_000_000))
    proxy = tunnels(lambda _: EgressAnswer(True, "", 10, 1000), server)
    sandbox = inside(proxy, path=proxy.path)
    sandbox.request("CONNECT", f"127.0.0.1:{server.port}")
    assert len(sandbox.rest()) <= 1000
    assert proxy.end().outcome is Outcome.TOO_LARGE


def test_tls_through_a_tunnel_is_end_to_end(
    origin: Make, tunnels: Make, inside: Make, authority: Any, allow: Any
) -> None:
    server = origin(tls=authority.server("good.example"))
    proxy = tunnels(allow, server, hosts={"good.example": "127.0.0.1"})
    sandbox = inside(proxy, path=proxy.path)
    assert sandbox.request("CONNECT", f"good.example:{server.port}").status == 200
    with authority.client().wrap_socket(sandbox.sock, server_hostname="good.example") as secure:
        secure.sendall(b"GET /x HTTP/1.1\r\nHost: good.example\r\n\r\n")
        assert secure.recv(1000).endswith(b"hello")


def test_another_tls_name_inside_a_tunnel_is_cut(
    origin: Make, tunnels: Make, inside: Make, authority: Any, allow: Any
) -> None:
    """Domain fronting: the tunnel goes to the allowed host, the handshake asks for another."""
    server = origin(tls=authority.server("good.example", "evil.example"))
    proxy = tunnels(allow, server, hosts={"good.example": "127.0.0.1"})
    sandbox = inside(proxy, path=proxy.path)
    assert sandbox.request("CONNECT", f"good.example:{server.port}").status == 200
    with pytest.raises((ssl.SSLError, OSError)):
        authority.client().wrap_socket(sandbox.sock, server_hostname="evil.example")
    end = proxy.end()
    assert end.outcome is Outcome.NAME_MISMATCH
    assert end.bytes_out == 0
    assert server.seen == []


def test_without_the_gate_the_other_name_reaches_the_server(
    origin: Make, inside: Make, authority: Any
) -> None:
    """Sabotage twin: the same handshake over a connection that nobody looks into."""
    server = origin(tls=authority.server("good.example", "evil.example"))
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        authority.client().wrap_socket(plain, server_hostname="evil.example") as secure,
    ):
        secure.sendall(b"GET /canary HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert secure.recv(1000).endswith(b"hello")
    assert b"canary" in server.seen[0]


def test_a_structured_domain_has_no_tunnels(watched: Make, tmp_path: Path, allow: Any) -> None:
    proxy = watched(allow)
    with pytest.raises(SandboxError, match="no tunnels"):
        proxy.proxy.listen(tmp_path / "egress.sock", call="container-1")
    assert not (tmp_path / "egress.sock").exists()


def test_a_call_connection_of_a_tunnel_domain_stays_structured(
    origin: Make, tunnels: Make, inside: Make, allow: Any
) -> None:
    server = origin(raw=echo)
    proxy = tunnels(allow, server)
    assert inside(proxy).request("CONNECT", f"127.0.0.1:{server.port}").status == 403
    assert server.connections == 0


def test_the_socket_belongs_to_one_user_when_one_is_named(
    watched: Make, tmp_path: Path, allow: Any
) -> None:
    path = tmp_path / "egress.sock"
    proxy = watched(allow, mode=Mode.TUNNEL)
    proxy.proxy.listen(path, call="c", uid=tmp_path.stat().st_uid)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    proxy.proxy.close()
    assert not path.exists()


def test_a_place_where_nothing_can_listen_is_one_clear_line(
    watched: Make, tmp_path: Path, allow: Any
) -> None:
    proxy = watched(allow, mode=Mode.TUNNEL)
    with pytest.raises(SandboxError, match=r"cannot listen for egress at '.*missing/x'"):
        proxy.proxy.listen(tmp_path / "missing" / "x", call="c")
    with pytest.raises(SandboxError, match="cannot listen"):
        proxy.proxy.listen(tmp_path / ("x" * 120), call="c")
