"""A whole gateway whose engine is elsewhere: the same promises, and nothing stays behind.

Elsewhere is this machine's own engine reached over ssh, and one that gives its containers' users
numbers of its own (``userns-remap``), by its socket and over TLS.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.transport.dockerds import Remapped
from tests.integration.transport.servers import Elsewhere, SshServer

from trilemma.gateway import machinery
from trilemma.gateway.workspaces.review import Review
from trilemma.policy.capability import parse
from trilemma.sandbox.engine import Engine

pytestmark = [pytest.mark.docker]

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A server to reach this machine's engine through."""
    server = SshServer(tmp_path_factory.mktemp("ssh"))
    yield server
    server.close()


@pytest.fixture(params=["ssh", "remapped", "tls"])
def elsewhere(request: pytest.FixtureRequest) -> Elsewhere:
    """An engine that shares nothing with its gateway."""
    if request.param == "ssh":
        server: SshServer = request.getfixturevalue("server")
        return server.elsewhere()
    engine: Remapped = request.getfixturevalue("remapped")
    return engine.tls.elsewhere() if request.param == "tls" else engine.here


@pytest.fixture
def there(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """That engine, which is the one that the environment names."""
    elsewhere.use(monkeypatch)
    engine = Engine()
    yield engine
    engine.close()


def test_an_agent_works_in_a_folder_that_its_engine_never_saw(
    gate: Make, there: Engine, folder: Path
) -> None:
    made = gate()
    session = made.open("read_file", "write_file", "run_code", grants=["files", "code"], files=True)
    assert "canary-4711" in session.ok("read_file", path="a.txt")
    session.ok("write_file", path="sub/new.txt", text="from afar")
    owners = "test -O /workspace && test -O a.txt && cat sub/new.txt && rm a.txt; echo $?"
    assert "from afar0" in session.ok("run_code", language="shell", code=owners)
    layer = session.session.workspace.layer
    session.close()
    review = Review(made.ledger, made.gateway.settings.layers)
    changes = review.diff(layer)
    assert [change.path for change in changes.changes] == ["a.txt", "sub/new.txt"]
    assert not (folder / "sub" / "new.txt").exists()
    review.apply(changes, "tester")
    assert not (folder / "a.txt").exists()
    assert (folder / "sub" / "new.txt").stat().st_uid == folder.stat().st_uid


def test_who_may_not_have_code_gets_none(gate: Make, there: Engine) -> None:
    session = gate().open("run_code", "read_file", grants=["files"], files=True)
    refused = session.call("run_code", language="shell", code="echo ran")
    assert not refused.ok
    assert "canary-4711" in session.ok("read_file", path="a.txt")


def test_code_leaves_by_the_gateways_proxy_alone(
    gate: Make, there: Engine, origin: Callable[[], Any]
) -> None:
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
helpers = [forward._process.pid] if forward else []
print(runtime.instance, janitor.pid, *helpers, flush=True)
sys.stdin.read()
"""


def test_of_a_gateway_that_is_killed_nothing_stays(there: Engine, tmp_path: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, str(tmp_path / "run"), machinery.image("base")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert gateway.stdout is not None
    instance, *processes = gateway.stdout.readline().split()
    assert len(there.containers(f"dev.trilemma.instance={instance}")) == 2
    os.killpg(gateway.pid, signal.SIGKILL)
    gateway.communicate()
    eventually(lambda: not there.containers(f"dev.trilemma.instance={instance}"))
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
    assert not list((tmp_path / "run").iterdir())


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
