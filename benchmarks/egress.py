"""A request that leaves, beside the same request without a gateway."""

import asyncio
import http.client
import socket
from functools import partial

from trilemma.gateway.destinations import Destinations
from trilemma.gateway.egress import DomainEgress, Exit
from trilemma.gateway.enforcement import Actor, Enforcement, new_id
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.local import decision_point
from trilemma.gateway.outgoing import Outgoing
from trilemma.inference.messages import ToolCall
from trilemma.policy.capability import Capability
from trilemma.policy.operator import EgressPolicy, OperatorPolicy
from trilemma.subagents.budget import Purse
from trilemma.subagents.limits import UNLIMITED

from .measure import Finding, Ratio, Sample, timed, timed_async
from .pageserver import PAGE, page_server
from .stage import Stage, session

TITLE = "A request that leaves"
METHOD = """
A page of 1 KB from a server on this machine, over plain HTTP and a new connection each time, so
that what is measured is the way there and not the server or TLS. *Through the proxy* is one
structured request over a connection that the gateway hands out, as a sandbox's call gets one:
read whole by the proxy process, decided by the policy, recorded on disk, the name resolved, the
address checked, connected to, answered. *http_fetch* is the whole tool call around it, with its
own decision, records and sandbox process. *Proxy started* is the first request of a domain.
"""
_ROUNDS = 60
_TURN = 5
_STARTS = 10
_HOST = "news.example"
_PAIR = frozenset({Capability.FILES, Capability.INTERNET})


def run(stage: Stage) -> Finding:
    """Measure."""
    with page_server() as port:
        return asyncio.run(_run(stage, port))


async def _run(stage: Stage, port: int) -> Finding:
    policy = _policy(port)
    file = stage.folder() / "policy.yaml"
    file.write_text(policy.model_dump_json(exclude_defaults=True))
    hosts = [{"host": _HOST, "ports": [port], "schemes": ["http"]}]
    exit = Exit(_actor(), Destinations(None, policy.egress.allow), Outgoing(Purse(UNLIMITED)))
    times: dict[str, list[float]] = {}
    with Ledger.open(stage.folder() / "ledger.db") as ledger:
        enforcement = Enforcement(ledger, decision_point(policy))
        starts = _starts(enforcement, policy, port, stage.times(_STARTS))
        domain = DomainEgress(enforcement, policy.egress)
        settings = stage.settings(policy=file)
        async with session(settings, ["internet"], ["http_fetch"], hosts=hosts) as opened:
            wanted = ToolCall("1", "http_fetch", f'{{"url": "http://{_HOST}:{port}/"}}')

            async def fetch() -> None:
                outcome = await opened.call_tool(wanted)
                assert outcome.ok, outcome.text

            await timed_async(fetch, 2 * _TURN)
            _through(domain, exit, port)
            for _ in range(stage.times(_ROUNDS)):
                for name, seconds in (
                    ("direct", timed(partial(_direct, port), _TURN)),
                    ("through the proxy", timed(partial(_through, domain, exit, port), _TURN)),
                    ("http_fetch", await timed_async(fetch, _TURN)),
                ):
                    times.setdefault(name, []).extend(seconds)
        domain.close()
    found = {name: Sample.of_seconds(name, seconds) for name, seconds in times.items()}
    found["start"] = Sample.of_seconds("proxy started, first request", starts)
    through = Ratio.between(found["through the proxy"], found["direct"])
    return Finding(tuple(found.values()), (through,))


def _policy(port: int) -> OperatorPolicy:
    """One listed host, which lies on this machine; the budget is out of the way."""
    return OperatorPolicy(
        egress=EgressPolicy.model_validate(
            {
                "allow": [{"host": _HOST, "ports": [port], "schemes": ["http"]}],
                "private": [f"127.0.0.1:{port}"],
                "hosts": {_HOST: "127.0.0.1"},
                "bytes_out": 2**40,
            }
        )
    )


def _actor() -> Actor:
    return Actor("user:bench", new_id("dom"), new_id("ses"), _PAIR)


def _starts(enforcement: Enforcement, policy: OperatorPolicy, port: int, n: int) -> list[float]:
    times = []
    for _ in range(n):
        domain = DomainEgress(enforcement, policy.egress)
        exit = Exit(_actor(), Destinations(None, policy.egress.allow), Outgoing(Purse(UNLIMITED)))
        times += timed(partial(_through, domain, exit, port), 1)
        domain.close()
    return times


def _through(domain: DomainEgress, exit: Exit, port: int) -> None:
    call = new_id("call")
    with domain.connect(call, exit) as proxy:
        host = f"{_HOST}:{port}"
        proxy.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(proxy)
        answer.begin()
        body = answer.read()
        assert body == PAGE, body
    domain.cut(call)


def _direct(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(server)
        answer.begin()
        assert answer.read() == PAGE
