"""What a warm call costs by each way to a sandbox."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import count

from trilemma.gateway.machinery import image
from trilemma.policy.capability import NONE
from trilemma.sandbox.base import ModuleEntry, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.sockettransport import SocketTransport
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec, ToolModule
from trilemma.sandbox.stdiotransport import StdioTransport
from trilemma.sandbox.transport import Transport

from .measure import Finding, Ratio, Sample, timed
from .stage import Stage

TITLE = "A warm call by each way to a sandbox"
METHOD = """
A Python function that returns its argument, called straight on the sandbox: no policy, no ledger.
*Socket* is a sandbox that shares a folder with the gateway, *stdio* one whose calls go over its
attached input and output, as with an engine elsewhere. Both are on this machine's engine and take
turns within one run, a few calls at a time.
"""
_ROUNDS = 40
_TURN = 10

_SOURCE = """
from trilemma import tool

@tool(needs=set())
def echo(text: str) -> str:
    return text
"""


def run(stage: Stage) -> Finding:
    """Measure."""
    names = ("socket", "stdio")
    times: dict[str, list[float]] = {name: [] for name in names}
    with _sandbox(stage, SocketTransport) as near, _sandbox(stage, StdioTransport) as far:
        steps = [partial(_call, sandbox, count()) for sandbox in (near, far)]
        for step in steps:
            timed(step, _TURN)
        for _ in range(stage.times(_ROUNDS)):
            for name, step in zip(names, steps, strict=True):
                times[name] += timed(step, _TURN)
    socket, stdio = (Sample.of_seconds(name, times[name]) for name in names)
    return Finding((socket, stdio), (Ratio.between(stdio, socket),))


@contextmanager
def _sandbox(stage: Stage, transport: Callable[[Engine], Transport]) -> Iterator[Sandbox]:
    runtime = RuntimeDir.create(stage.settings().runtime)
    janitor = Janitor.start(runtime)
    try:
        backend = DockerBackend(runtime, transport=transport)
        module = ToolModule("tools", _SOURCE, sha256(_SOURCE.encode()).hexdigest())
        spec = SandboxSpec(NONE, Exec.NEVER, Egress.NONE, None, image("base"), modules=(module,))
        yield backend.create(spec)
        backend.close()
    finally:
        janitor.close(clean=False)


def _call(sandbox: Sandbox, numbers: "count[int]") -> None:
    entry = ModuleEntry("tools", "echo")
    result = sandbox.call(SandboxCall(f"call-{next(numbers)}", entry, {"text": "x"}, 10))
    assert result.value == "x", result
