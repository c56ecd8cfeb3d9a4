"""The proxy's life: what it may, when it is cut, and that it never outlives its gateway."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxError, SpecError
from trilemma.sandbox.egress.client import EgressProxy
from trilemma.sandbox.egress.request import (
    EgressAnswer,
    EgressOutcome,
    EgressRequest,
    Mode,
    Outcome,
)

Make = Callable[..., Any]


class Silent:
    """A server that takes a request and then says nothing until its client is gone."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.ended = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        sock.recv(65536)
        self.arrived.set()
        while sock.recv(65536):
            pass
        self.ended.set()


def get(port: int, path: str = "/") -> str:
    return f"GET http://127.0.0.1:{port}{path} HTTP/1.1\r\nHost: x\r\n\r\n"


def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([watch], [], [], 10)[0], f"process {pid} lives on"
    finally:
        os.close(watch)


def test_revoking_a_call_cuts_its_request_and_no_other(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    silent, other = Silent(), Silent()
    servers = origin(raw=silent), origin(raw=other)
    proxy = watched(allow, *servers)
    first, second = inside(proxy, "call-1"), inside(proxy, "call-2")
    first.send(get(servers[0].port))
    second.send(get(servers[1].port))
    assert silent.arrived.wait(10)
    assert other.arrived.wait(10)

    proxy.proxy.revoke("call-1")
    end = proxy.end()
    assert (end.call, end.outcome) == ("call-1", Outcome.CUT)
    assert silent.ended.wait(10)
    assert first.rest() == b""
    assert not other.ended.is_set()
    assert proxy.proxy.alive


def test_after_revocation_a_kept_connection_leads_nowhere(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    server = origin()
    proxy = watched(allow, server)
    sandbox = inside(proxy)
    assert sandbox.request("GET", f"http://127.0.0.1:{server.port}/").status == 200
    proxy.proxy.revoke("call-1")
    with contextlib.suppress(BrokenPipeError):
        sandbox.send(get(server.port, "/canary"))
    assert sandbox.rest() == b""
    assert len(server.seen) == 1


def test_without_revocation_the_same_connection_works_on(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    """Sabotage twin."""
    server = origin()
    sandbox = inside(watched(allow, server))
    for _ in range(2):
        sandbox.request("GET", f"http://127.0.0.1:{server.port}/canary")
    assert len(server.seen) == 2


def test_revoking_closes_the_door_of_a_tunnel(
    origin: Make, watched: Make, inside: Make, allow: Any, tmp_path: Path
) -> None:
    server = origin(raw=lambda sock: sock.recv(1))
    proxy = watched(allow, server, mode=Mode.TUNNEL)
    path = tmp_path / "egress.sock"
    proxy.proxy.listen(path, call="container-1")
    kept = tmp_path / "kept.sock"
    os.link(path, kept)
    tunnel = inside(proxy, path=path)
    assert tunnel.request("CONNECT", f"127.0.0.1:{server.port}").status == 200

    proxy.proxy.revoke("container-1")
    assert tunnel.rest() == b""
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        inside(proxy, path=kept)


def test_a_request_that_is_allowed_after_its_revocation_does_not_leave(
    origin: Make, watched: Make, inside: Make
) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(request: EgressRequest) -> EgressAnswer:
        asked.set()
        go.wait(10)
        return EgressAnswer(True, "", 1000, 1000)

    server = origin()
    proxy = watched(slow, server)
    sandbox = inside(proxy)
    sandbox.send(get(server.port, "/canary"))
    assert asked.wait(10)
    proxy.proxy.revoke("call-1")
    go.set()
    assert proxy.end().outcome is Outcome.CUT
    assert sandbox.rest() == b""
    assert inside(proxy, "call-2").request("GET", f"http://127.0.0.1:{server.port}/").status == 200
    assert [b"canary" in seen for seen in server.seen] == [False]


def test_one_slow_decision_does_not_hold_up_another(
    origin: Make, watched: Make, inside: Make
) -> None:
    go = threading.Event()

    def decide(request: EgressRequest) -> EgressAnswer:
        if request.call == "slow":
            go.wait(10)
        return EgressAnswer(True, "", 1000, 1000)

    server = origin()
    proxy = watched(decide, server)
    slow = inside(proxy, "slow")
    slow.send(get(server.port))
    assert inside(proxy, "quick").request("GET", f"http://127.0.0.1:{server.port}/").status == 200
    go.set()
    assert slow.reply().status == 200


def test_one_decision_after_another_is_made_by_one_thread(
    origin: Make, watched: Make, inside: Make, allow: Callable[[EgressRequest], EgressAnswer]
) -> None:
    # A policy engine belongs to the thread that uses it, and loading one takes a while.
    deciding: set[int] = set()

    def decide(request: EgressRequest) -> EgressAnswer:
        deciding.add(threading.get_ident())
        return allow(request)

    server = origin()
    proxy = watched(decide, server)
    for number in range(5):
        call = f"call-{number}"
        url = f"http://127.0.0.1:{server.port}/"
        assert inside(proxy, call).request("GET", url).status == 200
        assert proxy.end().call == call
    assert len(proxy.asked) == 5
    assert len(deciding) == 1


def test_closing_cuts_everything_and_reports_it(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    silent = Silent()
    server = origin(raw=silent)
    proxy = watched(allow, server)
    sandbox = inside(proxy)
    sandbox.send(get(server.port))
    assert silent.arrived.wait(10)

    proxy.proxy.close()
    proxy.proxy.close()
    assert proxy.end().outcome is Outcome.CUT
    assert silent.ended.wait(10)
    assert sandbox.rest() == b""
    assert not proxy.proxy.alive
    with pytest.raises(SandboxError, match="gone"):
        proxy.proxy.connect("call-2")
    proxy.proxy.revoke("call-1")


def test_a_killed_proxy_lets_nothing_out_and_its_requests_are_lost(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    silent = Silent()
    server = origin(raw=silent)
    proxy = watched(allow, server)
    sandbox = inside(proxy)
    sandbox.send(get(server.port))
    assert silent.arrived.wait(10)

    os.kill(proxy.proxy.pid, signal.SIGKILL)
    end: EgressOutcome = proxy.end()
    assert (end.outcome, end.host, end.bytes_out) == (
        Outcome.LOST,
        "127.0.0.1",
        proxy.asked[0].bytes_out,
    )
    assert sandbox.rest() == b""
    assert silent.ended.wait(10)
    with pytest.raises(SandboxError, match="gone"):
        proxy.proxy.connect("call-2")
    assert not proxy.proxy.alive


def test_a_lost_tunnel_counts_as_if_it_had_sent_all_it_might(
    origin: Make, watched: Make, inside: Make, tmp_path: Path
) -> None:
    server = origin(raw=Silent())
    proxy = watched(lambda _: EgressAnswer(True, "", 5000, 5000), server, mode=Mode.TUNNEL)
    proxy.proxy.listen(tmp_path / "egress.sock", call="container-1")
    tunnel = inside(proxy, path=tmp_path / "egress.sock")
    assert tunnel.request("CONNECT", f"127.0.0.1:{server.port}").status == 200
    os.kill(proxy.proxy.pid, signal.SIGKILL)
    end = proxy.end()
    assert (end.outcome, end.bytes_out) == (Outcome.LOST, 5000)


def test_a_stopped_proxy_cannot_hold_up_revocation(
    watched: Make, allow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.sandbox.egress.client.REVOKE_SECONDS", 0.2)
    monkeypatch.setattr("trilemma.sandbox.egress.client.CLOSE_SECONDS", 0.2)
    proxy = watched(allow)
    proxy.proxy.connect("call-1").close()
    os.kill(proxy.proxy.pid, signal.SIGSTOP)
    proxy.proxy.revoke("call-1")
    gone(proxy.proxy.pid)
    assert not proxy.proxy.alive


def test_what_cannot_be_recorded_ends_the_proxy(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    def full(outcome: EgressOutcome) -> None:
        raise OSError(28, "No space left on device")

    server = origin()
    proxy = watched(allow, server, record=full)
    sandbox = inside(proxy)
    sandbox.send(get(server.port))
    sandbox.rest()
    gone(proxy.proxy.pid)
    with pytest.raises(SandboxError, match="gone"):
        proxy.proxy.connect("call-2")


GATEWAY = """
import signal, sys
from trilemma.sandbox.egress.client import EgressProxy
# A shell that starts the tests in the background has it ignored, and that is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
proxy = EgressProxy.start(decide=print, record=print, budget_bytes_out=0)
print(proxy.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_proxy_never_outlives_its_gateway(ending: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", GATEWAY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        gateway.send_signal(ending)
        gone(pid)


def test_the_process_has_given_up_what_it_does_not_need(
    watched: Make, allow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary")
    proxy = watched(allow)
    folder = Path(f"/proc/{proxy.proxy.pid}")
    status = dict(
        line.split(":\t", 1)
        for line in (folder / "status").read_text().splitlines()
        if ":\t" in line
    )
    if os.geteuid() == 0:
        assert set(status["Uid"].split()) == {"65534"}
        assert status["Groups"].split() == []
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0
        assert b"canary" not in (folder / "environ").read_bytes()
    assert status["NoNewPrivs"] == "1"
    limits = (folder / "limits").read_text()
    assert "Max file size             0                    0" in limits
    assert "Max core file size        0                    0" in limits


def test_only_so_many_connections_are_served_at_a_time(
    origin: Make, watched: Make, inside: Make, allow: Any
) -> None:
    silent = Silent()
    server = origin(raw=silent)
    proxy = watched(allow, server)
    sandboxes = [inside(proxy, f"call-{n}") for n in range(70)]
    refused = 0
    for sandbox in sandboxes[64:]:
        refused += sandbox.sock.recv(1) == b""
    assert refused == 6
    proxy.proxy.revoke("call-0")
    sandboxes.append(inside(proxy, "late"))
    sandboxes[-1].send("nonsense\r\n\r\n")
    assert sandboxes[-1].rest().startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"private": ("everything",)}, "not an address or range: 'everything'"),
        ({"hosts": {"good.example": "elsewhere"}}, "'good.example': 'elsewhere'"),
        ({"hosts": {"a@b": "10.0.0.1"}}, "not a host: 'a@b'"),
    ],
)
def test_bad_settings_are_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        EgressProxy.start(
            decide=lambda _: EgressAnswer(False), record=print, budget_bytes_out=0, **settings
        )


def test_a_process_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"did not start: .*No such file"):
        EgressProxy.start(
            decide=lambda _: EgressAnswer(False),
            record=print,
            budget_bytes_out=0,
            ca_file=tmp_path / "missing.pem",
        )


@pytest.mark.parametrize("call", ["", "x" * 300])
def test_a_connection_needs_a_name(watched: Make, allow: Any, call: str) -> None:
    with pytest.raises(SpecError, match="name of a call"):
        watched(allow).proxy.connect(call)
