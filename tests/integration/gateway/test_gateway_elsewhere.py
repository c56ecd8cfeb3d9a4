"""A whole gateway whose engine is reached over ssh: the same promises, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.transport.servers import Elsewhere, SshServer

from trilemma.gateway.workspaces.review import Review
from trilemma.policy.capability import parse
from trilemma.sandbox.engine import Engine

pytestmark = [pytest.mark.docker]

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """This machine's engine, behind a server of its own."""
    server = SshServer(tmp_path_factory.mktemp("ssh"))
    yield server.elsewhere()
    server.close()


def test_an_agent_works_in_a_folder_that_its_engine_never_saw(
    gate: Make, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    elsewhere.use(monkeypatch)
    made = gate()
    session = made.open("read_file", "write_file", grants=["files"], files=True)
    assert "canary-4711" in session.ok("read_file", path="a.txt")
    session.ok("write_file", path="sub/new.txt", text="from afar")
    layer = session.session.workspace.layer
    session.close()
    changes = Review(made.ledger, made.gateway.settings.layers).diff(layer)
    assert [change.path for change in changes.changes] == ["sub/new.txt"]
    assert not (folder / "sub" / "new.txt").exists()


def test_code_leaves_by_the_gateways_proxy_alone(
    gate: Make,
    elsewhere: Elsewhere,
    monkeypatch: pytest.MonkeyPatch,
    origin: Callable[[], Any],
) -> None:
    elsewhere.use(monkeypatch)
    server = origin()
    made = gate(server.policy)
    session = made.open("run_code", grants=["internet", "code"])
    url = server.url("/tunnel")
    script = f"import urllib.request; print(urllib.request.urlopen({url!r}).read())"
    assert "hello" in session.ok("run_code", language="python", code=script)
    assert session.held == parse(["internet", "code"])
    session.close()
    hosts = [server.rule()]
    fetching = made.open("http_fetch", grants=["internet"], hosts=hosts, new_domain=True)
    fetching.ok("http_fetch", url=server.url("/structured"))
    assert not fetching.call("http_fetch", url=server.url("/leak", "other.example")).ok
    assert server.paths == ["/tunnel", "/structured"]


GATEWAY = """
import sys
from pathlib import Path
from trilemma.policy.capability import parse
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

runtime = RuntimeDir.create(Path(sys.argv[1]))
janitor = Janitor.start(runtime)
backend = DockerBackend(runtime)
spec = SandboxSpec(parse([]), Exec.NEVER, Egress.NONE, None, sys.argv[2])
sandboxes = [backend.create(spec) for _ in range(2)]
forward = backend.engine._way._forward
print(runtime.instance, forward._process.pid, janitor.pid, flush=True)
sys.stdin.read()
"""


def test_of_a_gateway_that_is_killed_nothing_stays(
    elsewhere: Elsewhere,
    monkeypatch: pytest.MonkeyPatch,
    base_image: str,
    engine: Engine,
    tmp_path: Path,
) -> None:
    elsewhere.use(monkeypatch)
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, str(tmp_path / "run"), base_image],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert gateway.stdout is not None
    instance, *processes = gateway.stdout.readline().split()
    assert len(engine.containers(f"dev.trilemma.instance={instance}")) == 2
    os.killpg(gateway.pid, signal.SIGKILL)
    gateway.communicate()
    eventually(lambda: not engine.containers(f"dev.trilemma.instance={instance}"))
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
    assert not list((tmp_path / "run").iterdir())


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
