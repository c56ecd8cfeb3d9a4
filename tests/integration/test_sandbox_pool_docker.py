"""The pool over the real backend, and a gateway that is not root."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.builtnotes import give_built

from trilemma.policy.capability import parse
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.pool import Pool
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = pytest.mark.docker


@pytest.fixture
def pool(backend: DockerBackend) -> Iterator[Pool]:
    pool = Pool(backend, blanks=1, ceiling=2)
    yield pool
    pool.close()


def code(image: str, domain: str) -> SandboxSpec:
    return SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image, domain=domain)


def shell(pool: Pool, spec: SandboxSpec, script: str) -> str:
    arguments = {"language": "shell", "code": script}
    result = pool.lease(spec).call(SandboxCall("call", BuiltinEntry("run_code"), arguments, 20))
    assert result.error is None
    return str(result.value["stdout"])


def test_many_domains_at_once_each_get_their_own(
    pool: Pool, code_image: str, engine: Engine, runtime: RuntimeDir
) -> None:
    def visit(domain: str) -> str:
        spec = code(code_image, domain)
        return shell(
            pool, spec, f"cat /tmp/mine 2>/dev/null; echo {domain} > /tmp/mine; cat /tmp/mine"
        )

    domains = [f"domain-{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert [text.strip() for text in threads.map(visit, domains)] == domains
    for domain in domains:
        pool.release_domain(domain)
    pool.close()
    assert engine.containers(f"dev.trilemma.instance={runtime.instance}") == ()


def test_nothing_of_an_earlier_domain_is_found(pool: Pool, code_image: str) -> None:
    shell(pool, code(code_image, "first"), "echo secret > /tmp/left; sleep 1000 &")
    assert shell(pool, code(code_image, "second"), "cat /tmp/left 2>/dev/null") == ""
    pool.release_domain("first")
    assert shell(pool, code(code_image, "first"), "cat /tmp/left 2>/dev/null") == ""


def test_twin_the_same_sandbox_would_show_it(pool: Pool, code_image: str) -> None:
    shell(pool, code(code_image, "first"), "echo secret > /tmp/left")
    assert shell(pool, code(code_image, "first"), "cat /tmp/left") == "secret\n"


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from trilemma.policy.capability import parse
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec
import docker.transport, encodings.idna

root, image, group = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.setgroups([group]); os.setgid(12345); os.setuid(12345)
backend = DockerBackend(RuntimeDir.create(root))
sandbox = backend.create(SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image))
arguments = {"language": "shell", "code": "id -u"}
print(sandbox.call(SandboxCall("1", BuiltinEntry("run_code"), arguments, 20)).value["stdout"])
backend.close()
"""


@pytest.mark.root
def test_a_gateway_that_may_only_use_the_engine(code_image: str) -> None:
    root = Path(f"/tmp/trilemma-test-{os.getpid()}")
    group = Path("/var/run/docker.sock").stat()
    assert stat.S_ISSOCK(group.st_mode)
    try:
        root.mkdir(mode=0o700)
        os.chown(root, 12345, 12345)
        give_built(root / "cache", 12345)
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(root), code_image, str(group.st_gid)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"XDG_CACHE_HOME": str(root / "cache")},
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)
    assert done.stdout.strip() == "64101"
