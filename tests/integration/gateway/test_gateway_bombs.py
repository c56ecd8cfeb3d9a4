"""What a session does to the disk, or a server to a session, ends: with a result that says why."""

import asyncio
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.wreck import eventually

from trilemma.errors import TrilemmaError
from trilemma.gateway.ledger.events import Kind
from trilemma.inference.messages import ToolCall

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]
MIB = 1024 * 1024

LARGE = (
    "for n in range(10_000):\n  with open(f'large-{n}', 'wb') as file: file.write(bytes(1 << 20))\n"
)
MANY = "n = 0\nwhile True:\n  open(f'many-{n}', 'w').close(); n += 1\n"


def disk(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.iterdir())


@pytest.mark.parametrize("bomb", [LARGE, MANY], ids=["large files", "many files"])
def test_a_call_that_fills_its_layer_is_ended_and_the_session_goes_on(
    gate: Make, bomb: str
) -> None:
    made = gate()
    tools = ("run_code", "list_files", "write_file")
    session = made.open(*tools, grants=["files", "code"], files=True, sandbox={"layer_mb": 16})
    other = made.open(*tools, grants=["files", "code"], files=True, new_domain=True)
    started = time.monotonic()
    outcome = session.call("run_code", language="python", code=bomb, timeout=50)
    assert not outcome.ok
    assert "may take 16 MiB" in outcome.text
    assert time.monotonic() - started < 15
    written = len(list(session.upper.iterdir()))
    refused = session.call("write_file", path="more", text="x")
    assert "may take 16 MiB" in refused.text
    assert len(list(session.upper.iterdir())) == written
    assert session.ok("list_files", pattern="a.txt").count("a.txt") == 1
    other.ok("write_file", path="mine", text="x")


def test_sabotage_without_the_watch_the_same_call_goes_on(
    gate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trilemma.gateway.diskwatch import DiskWatch

    monkeypatch.setattr(DiskWatch, "_kill_all", lambda _: None)
    session = gate().open("run_code", grants=["files", "code"], files=True, sandbox={"layer_mb": 1})
    few = LARGE.replace("10_000", "64") + "import time; time.sleep(1.5)"
    assert session.call("run_code", language="python", code=few).ok
    assert disk(session.upper) >= 64 * MIB


MEMORY = (
    "import os, time\n"
    "for _ in range(12):\n"
    "  if os.fork() == 0:\n"
    "    x = bytearray(12 << 20); x[::4096] = bytes(3 << 10); time.sleep(2); os._exit(0)\n"
    "print(sum(os.wait()[1] == 9 for _ in range(12)), 'killed')\n"
)


def test_a_session_goes_on_whoever_the_kernel_kills_for_its_memory(gate: Make) -> None:
    session = gate().open("run_code", grants=["code"], sandbox={"memory_mb": 64})
    outcome = session.call("run_code", language="python", code=MEMORY)
    # Where it was the tool host, the call is lost and the next one gets a new sandbox.
    assert "0 killed" not in outcome.text.splitlines()
    assert session.ok("run_code", language="python", code="print(6 * 7)").strip() == "42"


def test_very_many_calls_of_one_session_hold_up_no_other(gate: Make) -> None:
    made = gate()
    greedy = made.open("run_code", grants=["code"], new_domain=True)
    other = made.open("list_files", grants=["files"], files=True, new_domain=True)
    other.ok("list_files")

    async def flood() -> None:
        sleep = ToolCall("c", "run_code", '{"language": "shell", "code": "sleep 60"}')
        await asyncio.gather(*(greedy.session.call_tool(sleep) for _ in range(600)))

    flooding = threading.Thread(target=lambda: asyncio.run(ended(flood())))
    flooding.start()
    try:
        eventually(lambda: len(made.events(Kind.CALL_RESERVED)) > 8, "nothing begins")
        assert other.call("list_files").ok
    finally:
        greedy.close()
        flooding.join()


async def ended(work: Any) -> None:
    with suppress(TrilemmaError):
        await work


class Stream(BaseHTTPRequestHandler):
    """Answers that never end, or that are more than they seem."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        if self.path == "/packed":
            packed = gzip.compress(bytes(64 * MIB))
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)
            return
        self.end_headers()
        while not self.server.stop.wait(0 if self.path == "/fast" else 0.1):  # type: ignore[attr-defined]
            try:
                self.wfile.write(b"x" * (65536 if self.path == "/fast" else 1))
            except OSError:
                return

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def streams() -> Iterator[int]:
    """The port of a server with such answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    server.stop = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.stop.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_without_end_is_cut_or_ended_and_a_packed_one_stays_packed(
    gate: Make, streams: int
) -> None:
    policy = (
        f"egress:\n  private: ['127.0.0.1:{streams}']\n  hosts: {{listed.example: 127.0.0.1}}\n"
    )
    rule = {"host": "listed.example", "ports": [streams], "schemes": ["http"]}
    session = gate(policy).open(
        "http_fetch", grants=["internet"], hosts=[rule], sandbox={"call_seconds": 2}
    )

    def fetch(path: str, **more: Any) -> Any:
        return session.call("http_fetch", url=f"http://listed.example:{streams}{path}", **more)

    cut = fetch("/fast")
    assert cut.ok
    assert '"truncated": true' in cut.text
    assert len(cut.text) < 100_000
    slow = fetch("/slow")
    assert not slow.ok
    assert "2 seconds" in slow.text
    packed = fetch("/packed", max_characters=200_000)
    assert packed.ok
    assert len(packed.text) < 300_000
    assert "\0\0\0\0" not in packed.text
    assert fetch("/fast", max_characters=1).ok
