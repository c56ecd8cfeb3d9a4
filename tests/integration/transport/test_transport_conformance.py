"""The same list for every way to a sandbox: a shared socket, attached stdio, engines elsewhere.

Hardly a test of this file knows which of them it runs on.
"""

import hashlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.integration.transport.dockerds import Remapped
from tests.integration.transport.servers import SshServer

from trilemma.errors import SandboxLost
from trilemma.policy.capability import parse
from trilemma.sandbox.base import (
    BuiltinEntry,
    CallError,
    CallResult,
    ModuleEntry,
    Sandbox,
    SandboxCall,
)
from trilemma.sandbox.carried.volume import Volume
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images import ensure
from trilemma.sandbox.leftovers import remove_directory
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.sockettransport import SocketTransport
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec, ToolModule
from trilemma.sandbox.stdiotransport import StdioTransport
from trilemma.sandbox.transport import Transport, choose

pytestmark = [pytest.mark.docker]

MIB = 1024 * 1024
ids = itertools.count()

SOURCE = """
import time
from trilemma import tool

@tool(needs=set())
def double(text: str) -> str:
    return text * 2

@tool(needs=set())
def fail() -> str:
    raise KeyError("no")

@tool(needs=set())
def linger(seconds: float) -> str:
    time.sleep(seconds)
    return "done"

@tool(needs=set())
def fill(size: int) -> str:
    return "x" * size
"""
MODULE = ToolModule("tools", SOURCE, hashlib.sha256(SOURCE.encode()).hexdigest())

PROFILES = {
    "nothing": (Exec.NEVER, Egress.NONE),
    "files": (Exec.NEVER, Egress.NONE),
    "internet": (Exec.NEVER, Egress.STRUCTURED),
    "code": (Exec.FREE, Egress.NONE),
    "files+internet": (Exec.NEVER, Egress.STRUCTURED),
    "files+code": (Exec.FREE, Egress.NONE),
    "internet+code": (Exec.FREE, Egress.TUNNEL),
}

WAYS = ("socket", "stdio", "ssh", "remapped over TLS")


class Way:
    """A backend that reaches its sandboxes in one of the ways."""

    def __init__(self, name: str, root: Path, images: dict[Exec, str]) -> None:
        transports: dict[str, Callable[[Engine], Transport]] = {
            "socket": SocketTransport,
            "stdio": StdioTransport,
            "ssh": choose,
            "remapped over TLS": choose,
        }
        self.name = name
        self.runtime = RuntimeDir.create(root)
        self.backend = DockerBackend(self.runtime, transport=transports[name])
        self._images = images
        self._volumes: list[Volume] = []

    def make(self, profile: str) -> Sandbox:
        execution, egress = PROFILES[profile]
        names = [] if profile == "nothing" else profile.split("+")
        mount = None
        if "files" in names:
            volume = Volume.make(self.backend, 4 * MIB, executable=execution is Exec.FREE)
            self._volumes.append(volume)
            mount = volume.mount
        return self.backend.create(
            SandboxSpec(
                parse(names),
                execution,
                egress,
                mount,
                self._images[execution],
                Limits(output=8 * MIB),
                (MODULE,),
            )
        )

    def close(self) -> None:
        for sandbox in list(self.backend._sandboxes):
            sandbox.close()
        for volume in self._volumes:
            assert volume.remove(self.backend)
        self.backend.close()
        remove_directory(self.runtime.path)


@pytest.fixture(scope="module", params=WAYS)
def way(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    base_image: str,
    code_image: str,
) -> Iterator[Way]:
    with pytest.MonkeyPatch.context() as environment:
        if request.param == "ssh":
            server: SshServer = request.getfixturevalue("ssh_server")
            server.elsewhere().use(environment)
        if request.param == "remapped over TLS":
            engine: Remapped = request.getfixturevalue("remapped")
            engine.tls.elsewhere().use(environment)
        images: dict[Exec, str] = {Exec.NEVER: ensure("base"), Exec.FREE: ensure("code")}
        way = Way(request.param, tmp_path_factory.mktemp("run"), images)
        yield way
        way.close()


def call(sandbox: Sandbox, function: str, within: float = 30, **arguments: Any) -> CallResult:
    entry = ModuleEntry("tools", function)
    return sandbox.call(SandboxCall(f"t{next(ids)}", entry, arguments, within))


def failure(result: CallResult) -> CallError:
    assert result.error is not None
    return result.error


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_serves_calls_as_it_must(way: Way, profile: str) -> None:
    sandbox = way.make(profile)
    assert call(sandbox, "double", text="ab").value == "abab"
    assert failure(call(sandbox, "fail")).code == "tool_error"
    assert failure(call(sandbox, "linger", 0.2, seconds=60)).code == "timeout"
    large = 5 * MIB
    assert call(sandbox, "fill", size=large).value == "x" * large
    assert call(sandbox, "double", text="y" * large).error is not None, "it is over the limit"
    assert failure(call(sandbox, "fill", size=9 * MIB)).code == "result_too_large"
    with ThreadPoolExecutor(20) as threads:
        texts = [f"text {number}" for number in range(20)]
        results = threads.map(lambda text: call(sandbox, "double", text=text), texts)
        assert [result.value for result in results] == [text * 2 for text in texts]
    sandbox.close()
    assert sandbox.lost


def test_a_running_call_is_cancelled(way: Way) -> None:
    sandbox = way.make("nothing")
    results: list[CallResult] = []
    long = SandboxCall("long", ModuleEntry("tools", "linger"), {"seconds": 60}, 60)
    thread = threading.Thread(target=lambda: results.append(sandbox.call(long)))
    thread.start()
    while thread.is_alive():
        sandbox.cancel("long")
        thread.join(0.05)
    assert failure(results[0]).code == "cancelled"
    assert call(sandbox, "double", text="a").value == "aa"
    sandbox.close()


def test_structured_requests_leave_by_the_connection_of_their_call(way: Way) -> None:
    sandbox = way.make("internet")
    for body in (b"small", b"z" * 300_000):
        ours, theirs = socket.socketpair()
        arrived: list[bytes] = []
        thread = threading.Thread(target=answer, args=(ours, arrived, body))
        thread.start()
        arguments = {"url": "https://example.com/page"}
        fetch = SandboxCall(f"t{next(ids)}", BuiltinEntry("http_fetch"), arguments, 30, theirs)
        result = sandbox.call(fetch)
        thread.join(10)
        assert arrived[0].startswith(b"GET https://example.com/page HTTP/1.1\r\n")
        assert result.error is None
        assert body[:5].decode() in str(result.value)
    sandbox.close()


def test_ordinary_clients_leave_by_the_tunnel(way: Way) -> None:
    sandbox = way.make("internet+code")
    arrived: list[bytes] = []
    script = """
import concurrent.futures, urllib.request
def fetch(n): return urllib.request.urlopen(f"http://example.com/{n}").read().decode()
with concurrent.futures.ThreadPoolExecutor(8) as threads:
    print(sorted(set(threads.map(fetch, range(40)))))
"""
    with proxy(sandbox, arrived, b"hello"):
        arguments = {"language": "python", "code": script}
        result = sandbox.call(SandboxCall("tunnel", BuiltinEntry("run_code"), arguments, 60))
    assert result.error is None
    assert result.value["stdout"] == "['hello']\n", result.value
    assert sorted(request.split(b"\r\n")[0] for request in arrived) == sorted(
        b"GET http://example.com/%d HTTP/1.1" % number for number in range(40)
    )
    sandbox.close()


def test_without_a_proxy_the_tunnel_leads_nowhere(way: Way) -> None:
    sandbox = way.make("internet+code")
    script = "import urllib.request; urllib.request.urlopen('http://example.com/')"
    arguments = {"language": "python", "code": script}
    result = sandbox.call(SandboxCall("nowhere", BuiltinEntry("run_code"), arguments, 30))
    assert result.error is None
    assert result.value["exit_code"] == 1
    assert call(sandbox, "double", text="still there").error is None
    sandbox.close()


def test_a_container_that_is_killed_under_a_call_is_lost(way: Way) -> None:
    sandbox = way.make("nothing")
    killer = threading.Timer(0.3, way.backend.engine.remove, [sandbox.id])
    killer.start()
    with pytest.raises(SandboxLost):
        call(sandbox, "linger", seconds=60)
    killer.join()
    assert sandbox.lost
    with pytest.raises(SandboxLost):
        call(sandbox, "double", text="a")


def test_a_connection_that_ends_ends_the_container(way: Way) -> None:
    """The gateway's end goes away without a word, as when it is killed."""
    sandbox: Any = way.make("code")
    sandbox._channel.close()
    eventually(lambda: way.backend.engine.inspect(sandbox.id) is None)
    sandbox.close()


def test_code_that_kills_all_it_may_loses_no_more_than_its_sandbox(way: Way) -> None:
    """Where the tool host is process 1 it cannot even be signalled; elsewhere everything ends."""
    sandbox = way.make("code")
    arguments = {"language": "python", "code": "import os; os.kill(-1, 9)"}
    kill = SandboxCall("kill", BuiltinEntry("run_code"), arguments, 30)
    if way.name == "socket":
        assert sandbox.call(kill).error is not None
        assert call(sandbox, "double", text="a").value == "aa"
    else:
        with pytest.raises(SandboxLost):
            sandbox.call(kill)
        eventually(lambda: way.backend.engine.inspect(sandbox.id) is None)
    sandbox.close()


def answer(connection: socket.socket, arrived: list[bytes], body: bytes) -> None:
    with connection:
        arrived.append(connection.recv(65536))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)


class proxy:
    """Answers whatever comes through a sandbox's tunnel."""

    def __init__(self, sandbox: Sandbox, arrived: list[bytes], body: bytes) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        folder = os.open(sandbox.exchange, os.O_PATH)
        self._listener.bind(f"/proc/self/fd/{folder}/egress.sock")
        os.close(folder)
        (sandbox.exchange / "egress.sock").chmod(0o666)
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, args=(arrived, body))

    def _serve(self, arrived: list[bytes], body: bytes) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection, arrived, body)).start()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
