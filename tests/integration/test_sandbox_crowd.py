"""Process 1 ends calls, and everything ends with it: a crowd beside it cannot push it aside.

With the lowest priority, on a processor where sixty others spin, it takes longer to die than
anybody waits, and what it should have ended goes on writing.
"""

import os

import pytest

from trilemma.policy.capability import parse
from trilemma.sandbox import container, evidence
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

PUSH = """
import os, resource
one = min(os.sched_getaffinity(0))
for push in (
    lambda: os.sched_setaffinity(1, {one}),
    lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
    lambda: os.setpriority(os.PRIO_PGRP, 1, 19),
    lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0)),
):
    try:
        push()
    except OSError:
        pass
# Its own place is its own affair.
os.setpriority(os.PRIO_PROCESS, 0, 5)
os.sched_setaffinity(0, {one})
print("pushed")
"""
WITHOUT = """
import sys
sys.path.append("/opt/trilemma")
from toolhost import host, lock
lock.ALWAYS = tuple(rule for rule in lock.ALWAYS if rule not in lock.NOT_PROCESS_1)
sys.exit(host.main([]))
"""


def pushed(backend: DockerBackend, engine: Engine, image: str) -> tuple[int, bool, bool]:
    """Of process 1: how nice it is, whether it has all processors, whether it may open files."""
    spec = SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, image)
    sandbox = backend.create(spec)
    first = evidence.first_process(engine.inspect(sandbox.id))
    everywhere = os.sched_getaffinity(first)
    arguments = {"language": "python", "code": PUSH}
    result = sandbox.call(SandboxCall("push", BuiltinEntry("run_code"), arguments, 20))
    assert result.value["stdout"] == "pushed\n"
    with open(f"/proc/{first}/limits", encoding="utf-8") as limits:
        opens = not any(line.split()[3] == "0" for line in limits if line.startswith("Max open"))
    there = os.sched_getaffinity(first) == everywhere
    return os.getpriority(os.PRIO_PROCESS, first), there, opens


def test_nothing_in_a_sandbox_pushes_process_1_aside(
    backend: DockerBackend, engine: Engine, code_image: str
) -> None:
    assert pushed(backend, engine, code_image) == (0, True, True)


def test_twin_without_these_rules_it_is_pushed_aside(
    backend: DockerBackend, engine: Engine, code_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "ENTRYPOINT", (*container.ENTRYPOINT[:-1], "-c", WITHOUT))
    monkeypatch.setattr(evidence, "read_all", lambda processes: None)
    assert pushed(backend, engine, code_image) == (19, False, False)
