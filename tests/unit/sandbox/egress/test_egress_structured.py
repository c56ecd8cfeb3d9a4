"""Structured requests through a real proxy process to real servers."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from trilemma.sandbox.egress.request import EgressAnswer, EgressRequest, Outcome

Make = Callable[..., Any]


def only(*hosts: str, **answer: Any) -> Callable[[EgressRequest], EgressAnswer]:
    """Allow these hosts."""
    answer = {"budget_bytes_out": 1 << 20, "max_bytes_in": 1 << 20, **answer}

    def decide(request: EgressRequest) -> EgressAnswer:
        if request.host in hosts:
            return EgressAnswer(allow=True, **answer)
        return EgressAnswer(allow=False, reason_text=f"{request.host} is not listed")

    return decide


def test_an_allowed_request_arrives_and_its_answer_comes_back(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin()
    proxy = watched(only("127.0.0.1"), server)
    reply = inside(proxy).request("GET", f"http://127.0.0.1:{server.port}/a?b=c")

    assert (reply.status, reply.body, reply.outcome) == (200, b"hello", None)
    assert server.seen[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    [asked] = proxy.asked
    assert asked == EgressRequest(
        call="call-1",
        host="127.0.0.1",
        port=server.port,
        scheme="http",
        method="GET",
        bytes_out=len(f"GET127.0.0.1:{server.port}/a?b=c"),
        structured=True,
    )
    end = proxy.end()
    assert (end.outcome, end.status, end.bytes_in) == (Outcome.DONE, 200, 5)
    assert (end.bytes_out, end.address) == (asked.bytes_out, "127.0.0.1")


def test_a_denied_request_never_arrives(origin: Make, watched: Make, inside: Make) -> None:
    server = origin()
    proxy = watched(only(), server)
    reply = inside(proxy).request("GET", f"http://127.0.0.1:{server.port}/canary")

    assert (reply.status, reply.outcome) == (403, "denied")
    assert reply.body == b"127.0.0.1 is not listed\n"
    assert server.connections == 0


def test_without_the_decision_the_same_request_arrives(
    origin: Make, watched: Make, inside: Make
) -> None:
    """Sabotage twin: a gateway that allows everything."""
    server = origin()
    inside(watched(only("127.0.0.1"), server)).request(
        "GET", f"http://127.0.0.1:{server.port}/canary"
    )
    assert b"/canary" in server.seen[0]


def test_a_decision_that_raises_is_a_denial(origin: Make, watched: Make, inside: Make) -> None:
    def broken(request: EgressRequest) -> EgressAnswer:
        raise RuntimeError("the policy engine is gone")

    server = origin()
    reply = inside(watched(broken, server)).request("GET", f"http://127.0.0.1:{server.port}/")
    assert (reply.status, reply.outcome) == (403, "denied")
    assert b"policy engine" not in reply.body
    assert server.connections == 0


def test_an_answer_of_another_type_is_a_denial(origin: Make, watched: Make, inside: Make) -> None:
    server = origin()
    proxy = watched(lambda _: "yes", server)
    assert inside(proxy).request("GET", f"http://127.0.0.1:{server.port}/").status == 403
    truthy: Any = "no"
    proxy = watched(lambda _: EgressAnswer(allow=truthy, max_bytes_in=9, budget_bytes_out=99))
    assert inside(proxy).request("GET", f"http://127.0.0.1:{server.port}/").status == 403
    assert server.connections == 0


def test_each_request_on_a_kept_connection_is_decided_again(
    origin: Make, watched: Make, inside: Make
) -> None:
    good, evil = origin(address="127.0.0.1"), origin(address="127.0.0.2")
    sandbox = inside(watched(only("127.0.0.1"), good, evil))

    assert sandbox.request("GET", f"http://127.0.0.1:{good.port}/").status == 200
    assert sandbox.request("GET", f"http://127.0.0.2:{evil.port}/canary").status == 403
    assert sandbox.request("GET", f"http://127.0.0.1:{good.port}/").status == 200
    assert evil.connections == 0


def test_a_pipelined_second_request_is_decided_too(
    origin: Make, watched: Make, inside: Make
) -> None:
    good, evil = origin(address="127.0.0.1"), origin(address="127.0.0.2")
    sandbox = inside(watched(only("127.0.0.1"), good, evil))
    sandbox.send(
        f"GET http://127.0.0.1:{good.port}/ HTTP/1.1\r\nHost: x\r\n\r\n"
        f"GET http://127.0.0.2:{evil.port}/canary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    received = sandbox.rest()
    assert received.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 403" in received
    assert evil.connections == 0


def test_a_redirect_comes_back_and_its_target_is_decided_anew(
    origin: Make, watched: Make, inside: Make
) -> None:
    evil = origin(address="127.0.0.2")
    away = f"http://127.0.0.2:{evil.port}/canary"
    good = origin(f"HTTP/1.1 302 Found\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n".encode())
    sandbox = inside(watched(only("127.0.0.1"), good, evil))

    reply = sandbox.request("GET", f"http://127.0.0.1:{good.port}/")
    assert (reply.status, reply.headers["location"]) == (302, away)
    assert sandbox.request("GET", reply.headers["location"]).status == 403
    assert evil.connections == 0


def test_connect_is_refused(origin: Make, watched: Make, inside: Make) -> None:
    server = origin()
    proxy = watched(only("127.0.0.1"), server)
    reply = inside(proxy).request("CONNECT", f"127.0.0.1:{server.port}")
    assert (reply.status, reply.outcome) == (403, "denied")
    assert server.connections == 0
    assert proxy.asked == []
    assert proxy.end().method == "CONNECT"


def test_the_host_field_comes_from_the_target(origin: Make, watched: Make, inside: Make) -> None:
    server = origin()
    proxy = watched(only("good.example"), server, hosts={"good.example": "127.0.0.1"})
    inside(proxy).request("GET", f"http://GOOD.example.:{server.port}/")
    assert f"host: good.example:{server.port}".encode() in server.seen[0]
    assert b"anything" not in server.seen[0]


@pytest.mark.parametrize(
    "field", ["Authorization: Bearer canary", "Cookie: canary", "Proxy-Authorization: Basic canary"]
)
def test_credentials_of_the_sandbox_do_not_leave(
    origin: Make, watched: Make, inside: Make, field: str
) -> None:
    server = origin()
    sandbox = inside(watched(only("127.0.0.1"), server))
    assert sandbox.request("GET", f"http://127.0.0.1:{server.port}/", field).status == 403
    assert server.connections == 0


def test_only_listed_fields_leave_and_each_is_counted(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin()
    proxy = watched(only("127.0.0.1"), server)
    url = f"http://127.0.0.1:{server.port}/"
    inside(proxy).request(
        "GET", url, "X-Canary: secret", "User-Agent: secret", "Referer: secret", "Accept: a/b"
    )
    assert b"secret" not in server.seen[0]
    assert b"accept: a/b\r\n" in server.seen[0]
    assert proxy.asked[0].bytes_out == len(f"GET127.0.0.1:{server.port}/" + "accepta/b")


def test_a_body_is_counted_before_it_is_asked(origin: Make, watched: Make, inside: Make) -> None:
    server = origin()
    proxy = watched(only("127.0.0.1"), server)
    inside(proxy).request("POST", f"http://127.0.0.1:{server.port}/", body=b"x" * 70_000)
    assert proxy.asked[0].bytes_out == len(f"POST127.0.0.1:{server.port}/") + 70_000
    assert server.seen[0].endswith(b"\r\n\r\n" + b"x" * 70_000)


def test_a_chunked_body_is_sent_anew_with_its_length(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin()
    sandbox = inside(watched(only("127.0.0.1"), server))
    sandbox.send(
        f"POST http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    )
    assert sandbox.reply().status == 200
    assert b"content-length: 5\r\n" in server.seen[0]
    assert b"transfer-encoding" not in server.seen[0]
    assert server.seen[0].endswith(b"\r\n\r\nabcde")


@pytest.mark.parametrize(
    "raw",
    [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET http://127.0.0.1@127.0.0.2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET http://127.0.0.1/ HTTP/1.1\r\n\r\n",
        "GET http://127.0.0.1/ HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET http://127.0.0.1/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        "get http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
        "POST http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        "A" * 40_000 + "\r\n",
    ],
)
def test_what_is_not_strictly_a_request_is_refused_unasked(
    watched: Make, inside: Make, raw: str
) -> None:
    proxy = watched(only("127.0.0.1"))
    sandbox = inside(proxy)
    sandbox.send(raw)
    assert sandbox.rest().startswith(b"HTTP/1.1 4")
    assert proxy.asked == []
    assert proxy.end().outcome is Outcome.MALFORMED


def test_an_answer_is_cut_at_its_ceiling(origin: Make, watched: Make, inside: Make) -> None:
    flood = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 300_000
    server = origin(flood)
    proxy = watched(only("127.0.0.1", max_bytes_in=1000), server)
    sandbox = inside(proxy)
    sandbox.send(f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sandbox.rest().count(b"x") <= 1000
    assert proxy.end().outcome is Outcome.TOO_LARGE


def test_an_answer_that_announces_too_much_is_refused_whole(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000)
    proxy = watched(only("127.0.0.1", max_bytes_in=1000), server)
    reply = inside(proxy).request("GET", f"http://127.0.0.1:{server.port}/")
    assert (reply.status, reply.outcome) == (502, "too_large")


def test_an_answer_that_ends_early_is_not_passed_off_as_whole(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    proxy = watched(only("127.0.0.1"), server)
    sandbox = inside(proxy)
    sandbox.send(f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"content-length: 10" in sandbox.rest()
    assert proxy.end().outcome is Outcome.BROKEN


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"x" * 100_000]
)
def test_nonsense_from_the_other_side_is_an_error(
    origin: Make, watched: Make, inside: Make, answer: bytes
) -> None:
    server = origin(answer)
    reply = inside(watched(only("127.0.0.1"), server)).request(
        "GET", f"http://127.0.0.1:{server.port}/"
    )
    assert (reply.status, reply.outcome) == (502, "broken")


def test_the_other_side_cannot_speak_for_the_proxy(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin(
        b"HTTP/1.1 200 OK\r\nTrilemma-Outcome: denied\r\nSet-Cookie: a=b\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n"
    )
    reply = inside(watched(only("127.0.0.1"), server)).request(
        "GET", f"http://127.0.0.1:{server.port}/"
    )
    assert reply.headers == {"x-kept": "1", "content-length": "0"}


def test_a_doubtful_length_is_not_passed_on(origin: Make, watched: Make, inside: Make) -> None:
    server = origin(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    )
    reply = inside(watched(only("127.0.0.1"), server)).request(
        "GET", f"http://127.0.0.1:{server.port}/"
    )
    assert (reply.status, reply.body) == (200, b"hello")


def test_a_budget_smaller_than_the_request_stops_it(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin()
    sandbox = inside(watched(only("127.0.0.1", budget_bytes_out=10), server))
    reply = sandbox.request("GET", f"http://127.0.0.1:{server.port}/")
    assert (reply.status, reply.outcome) == (403, "budget_used")
    assert server.connections == 0


def test_the_budget_of_the_process_holds_across_requests(
    origin: Make, watched: Make, inside: Make
) -> None:
    """Whatever each single answer of the gateway says."""
    server = origin()
    proxy = watched(only("127.0.0.1"), server, budget_bytes_out=100)
    replies = [
        inside(proxy, f"call-{n}").request("GET", f"http://127.0.0.1:{server.port}/" + "x" * 20)
        for n in range(4)
    ]
    assert [reply.status for reply in replies] == [200, 200, 403, 403]
    assert len(server.seen) == 2


def test_head_and_empty_answers_pass(origin: Make, watched: Make, inside: Make) -> None:
    server = origin(
        lambda raw: (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
            if raw.startswith(b"HEAD")
            else b"HTTP/1.1 304 Not Modified\r\n\r\n"
        )
    )
    sandbox = inside(watched(only("127.0.0.1"), server))
    head = sandbox.request("HEAD", f"http://127.0.0.1:{server.port}/")
    assert (head.status, head.headers["content-length"], head.body) == (200, "9", b"")
    assert sandbox.request("GET", f"http://127.0.0.1:{server.port}/").status == 304


def test_what_the_gateway_adds_is_sent_and_not_shown(
    origin: Make, watched: Make, inside: Make
) -> None:
    server = origin()
    proxy = watched(only("127.0.0.1", headers={"Authorization": "Bearer k"}), server)
    reply = inside(proxy).request("GET", f"http://127.0.0.1:{server.port}/")
    assert b"authorization: Bearer k\r\n" in server.seen[0]
    assert reply.headers == {"content-length": "5"}
    assert "Bearer" not in repr(EgressAnswer(allow=True, headers={"Authorization": "Bearer k"}))


def test_parallel_calls_keep_their_own_names(origin: Make, watched: Make, inside: Make) -> None:
    server = origin()
    proxy = watched(only("127.0.0.1"), server)
    sandboxes = [inside(proxy, f"call-{n}") for n in range(16)]
    url = f"http://127.0.0.1:{server.port}/"
    threads = [
        threading.Thread(target=sandbox.request, args=("GET", f"{url}{n}"))
        for n, sandbox in enumerate(sandboxes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {request.call for request in proxy.asked} == {f"call-{n}" for n in range(16)}
    assert {proxy.end().call for _ in range(16)} == {f"call-{n}" for n in range(16)}
    assert len(server.seen) == 16
