"""The proxy on networks of its own: real DNS, public addresses, and addresses that are not."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma.sandbox.egress.client import EgressProxy
from trilemma.sandbox.egress.request import EgressAnswer, EgressOutcome, EgressRequest

pytestmark = pytest.mark.root

HERE = "9.9.9.1"
"""A public address of the machine that the proxy runs on."""
THERE = "9.9.9.2"
"""A public address of another machine, where the server is."""


@pytest.fixture(scope="module")
def networks() -> Iterator[str]:
    """Two network namespaces with a cable between them; the server runs in the second."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    here, there = (f"trilemma-{os.getpid()}-{side}" for side in ("here", "there"))
    try:
        for name in (here, there):
            ip("netns", "add", name)
        ip(
            "-n",
            here,
            "link",
            "add",
            "left",
            "type",
            "veth",
            "peer",
            "name",
            "right",
            "netns",
            there,
        )
        for name, device, address in ((here, "left", HERE), (there, "right", THERE)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            for link in (device, "lo"):
                ip("-n", name, "link", "set", link, "up")
        ip("-n", there, "addr", "add", "10.66.0.2/32", "dev", "lo")
        ip("-n", here, "route", "add", "default", "via", THERE)
        # A whole network that this machine answers for, without an interface that says so.
        ip("-n", here, "route", "add", "local", "9.9.8.0/24", "dev", "lo")
        yield here
    finally:
        for name in (here, there):
            subprocess.run(["ip", "netns", "del", name], check=False)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture(scope="module")
def seen(networks: str) -> dict[str, Any]:
    """What happened when each of SCENARIOS was tried on those networks."""
    there = networks.replace("-here", "-there")
    server = [sys.executable, __file__, "server"]
    scenario = ["unshare", "--mount", sys.executable, __file__, "scenarios"]
    with subprocess.Popen(
        ["ip", "netns", "exec", there, *server], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as origin:
        assert origin.stdout is not None
        assert origin.stdin is not None
        assert origin.stdout.readline() == b"ready\n"
        done = subprocess.run(
            ["ip", "netns", "exec", networks, *scenario],
            capture_output=True,
            check=False,
            timeout=60,
        )
        origin.stdin.close()
        arrived = origin.stdout.read().decode().split()
    assert done.returncode == 0, done.stderr.decode()
    result: dict[str, Any] = json.loads(done.stdout)
    result["arrived"] = arrived
    return result


def test_an_allowed_name_is_looked_up_and_reached(seen: dict[str, Any]) -> None:
    assert seen["allowed"]["status"] == 200
    assert seen["allowed"]["questions"] == ["good.example"]
    assert "/allowed" in seen["arrived"]


def test_a_denied_name_is_never_looked_up(seen: dict[str, Any]) -> None:
    """A name can carry data to whoever runs its name server, even when nobody connects."""
    assert seen["denied"]["status"] == 403
    assert seen["denied"]["questions"] == []


def test_without_the_denial_the_name_and_what_it_carries_is_looked_up(
    seen: dict[str, Any],
) -> None:
    """Sabotage twin: the same request, allowed."""
    assert seen["undenied"]["questions"] == ["canary.evil.example"]


def test_an_unknown_name_is_not_tried_under_the_machine_s_own_domains(
    seen: dict[str, Any],
) -> None:
    assert seen["unknown"]["outcome"] == "unresolved"
    assert set(seen["unknown"]["questions"]) == {"unknown.example"}


@pytest.mark.parametrize(
    "name", ["own", "loopback", "private", "mapped", "metadata", "mixed", "routed"]
)
def test_a_name_that_leads_inside_is_refused(seen: dict[str, Any], name: str) -> None:
    assert seen[name]["outcome"] == "address_refused"
    assert f"/{name}" not in seen["arrived"]


def test_without_the_check_the_private_address_is_reached(seen: dict[str, Any]) -> None:
    """Sabotage twin: the same name, its address opened by the operator."""
    assert seen["private-opened"]["status"] == 200
    assert "/private-opened" in seen["arrived"]


def test_a_name_that_changes_between_two_requests_is_checked_each_time(
    seen: dict[str, Any],
) -> None:
    assert seen["rebinding-1"]["status"] == 200
    assert seen["rebinding-2"]["outcome"] == "address_refused"
    assert "/rebinding-2" not in seen["arrived"]


# What follows runs inside the namespaces, as programs of their own.

ANSWERS = {
    "good.example": [[THERE]],
    "canary.evil.example": [[THERE]],
    "own.example": [[HERE]],
    "loopback.example": [["127.0.0.1"]],
    "private.example": [["10.66.0.2"]],
    "mapped.example": [["::ffff:10.66.0.2"]],
    "metadata.example": [["169.254.169.254"]],
    "mixed.example": [[THERE, "10.66.0.2"]],
    "routed.example": [["9.9.8.7"]],
    "rebinding.example": [[THERE], ["10.66.0.2"]],
}

SCENARIOS = {
    "allowed": "good.example",
    "denied": "canary.evil.example",
    "undenied": "canary.evil.example",
    "unknown": "unknown.example",
    "own": "own.example",
    "loopback": "loopback.example",
    "private": "private.example",
    "mapped": "mapped.example",
    "metadata": "metadata.example",
    "mixed": "mixed.example",
    "routed": "routed.example",
    "private-opened": "private.example",
    "rebinding-1": "rebinding.example",
    "rebinding-2": "rebinding.example",
}


class NameServer(threading.Thread):
    """Answers A and AAAA questions over UDP, and notes the names that were asked."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 53))
        self.questions: list[str] = []
        self.turns: dict[str, int] = {}

    def run(self) -> None:
        while True:
            query, client = self.sock.recvfrom(4096)
            self.sock.sendto(self.answer(query), client)

    def answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        name = ".".join(labels)
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        if name not in self.questions:
            self.questions.append(name)
        records = [packed for packed in self.records(name) if len(packed) == {1: 4, 28: 16}[kind]]
        code = 0x8180 if name in ANSWERS else 0x8183
        head = query[:2] + struct.pack("!HHHHH", code, 1, len(records), 0, 0)
        body = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed
            for packed in records
        )
        return head + query[12 : at + 5] + body

    def records(self, name: str) -> list[bytes]:
        turns = ANSWERS.get(name, [[]])
        addresses = turns[min(self.turns.get(name, 0), len(turns) - 1)]
        return [
            socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
            for text in addresses
        ]


def scenarios() -> None:
    settings = Path("/run/trilemma-resolv.conf")
    settings.write_text("nameserver 127.0.0.1\nsearch corp.example\n")
    subprocess.run(["mount", "--bind", str(settings), "/etc/resolv.conf"], check=True)
    settings.unlink()
    names = NameServer()
    names.start()
    local = socket.create_server((HERE, 80))
    results = {}
    for scenario, host in SCENARIOS.items():
        names.questions.clear()
        results[scenario] = {**try_one(scenario, host), "questions": list(names.questions)}
        names.turns[host] = names.turns.get(host, 0) + 1
    local.close()
    json.dump(results, sys.stdout)


def try_one(scenario: str, host: str) -> dict[str, Any]:
    def decide(request: EgressRequest) -> EgressAnswer:
        return EgressAnswer(scenario != "denied", "no", 1000, 1000)

    private = ("10.66.0.2",) if scenario == "private-opened" else ()
    ended: list[EgressOutcome] = []
    with (
        EgressProxy.start(
            decide=decide, record=ended.append, budget_bytes_out=1000, private=private
        ) as proxy,
        proxy.connect("call") as sock,
    ):
        sock.settimeout(20)
        sock.sendall(f"GET http://{host}/{scenario} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status = int(sock.recv(65536).split()[1])
    return {"status": status, "outcome": ended[0].outcome if ended else "denied"}


def server() -> None:
    listener = socket.create_server(("0.0.0.0", 80))
    threading.Thread(target=answer_all, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


def answer_all(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            print(sock.recv(65536).split()[1].decode(), flush=True)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


if __name__ == "__main__":
    {"server": server, "scenarios": scenarios}[sys.argv[1]]()
