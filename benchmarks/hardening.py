"""What the hardening of a sandbox costs a call."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count

from trilemma.gateway.machinery import image
from trilemma.policy.capability import parse
from trilemma.sandbox.base import BuiltinEntry, SandboxCall
from trilemma.sandbox.channel import Channel
from trilemma.sandbox.container import ENTRYPOINT, Settings, configuration
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.hosttree import HostTree
from trilemma.sandbox.janitor import Janitor
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.sockettransport import SocketTransport
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.views import ViewMaker

from .measure import Finding, Ratio, Sample, Target, timed
from .stage import FILES, Stage

TITLE = "The price of hardening, per call"
METHOD = """
`list_files` of a folder of 20 files, called straight on the sandbox: no policy, no ledger, so that
the share of the hardening is as large as it gets. *Hardened* is a sandbox as agents get it.
*Unhardened* is the same tool host and the same call in a container with Docker's default seccomp
profile, in which the tool host and its children install no filter and stay dumpable; this benchmark
makes it, the package cannot. Both take turns within one run, a few calls at a time.
"""
_ROUNDS = 100
_TURN = 20

_UNHARDENED = """
import sys
sys.path.append("/opt/trilemma")
from toolhost import host, kernel, selftest
kernel.install_filter = lambda program: None
kernel.become_opaque = lambda: None
selftest.report = lambda settings: [
    {"name": "nothing", "expected": "allowed", "outcome": "allowed", "detail": ""}
]
sys.exit(host.main([]))
"""


def run(stage: Stage) -> Finding:
    """Measure."""
    names = ("hardened", "unhardened")
    times: dict[str, list[float]] = {name: [] for name in names}
    with _channels(stage) as channels:
        steps = [partial(_call, channel, count()) for channel in channels]
        for step in steps:
            timed(step, _TURN)
        for _ in range(stage.times(_ROUNDS)):
            for name, step in zip(names, steps, strict=True):
                times[name] += timed(step, _TURN)
    ours, bare = (Sample.of_seconds(name, times[name]) for name in names)
    return Finding(
        (ours, bare),
        (Ratio.between(bare, ours),),
        (Target("hardened / unhardened, of the medians", ours.p50 / bare.p50, 1.1),),
    )


@contextmanager
def _channels(stage: Stage) -> Iterator[tuple[Channel, Channel]]:
    """To a tool host as it is, and to one without its locks."""
    with ExitStack() as stack:
        runtime = RuntimeDir.create(stage.settings().runtime)
        janitor = Janitor.start(runtime)
        stack.callback(lambda: janitor.close(clean=False))
        engine = Engine()
        stack.callback(engine.close)
        views = ViewMaker(runtime.path)
        stack.callback(views.close)
        view = views.direct_view(Folder.at(stage.workspace()), read_only=True, exec=False)
        yield (
            stack.enter_context(_channel(engine, runtime, view.mount, hardened=True)),
            stack.enter_context(_channel(engine, runtime, view.mount, hardened=False)),
        )


@contextmanager
def _channel(
    engine: Engine, runtime: RuntimeDir, mount: Mount, *, hardened: bool
) -> Iterator[Channel]:
    spec = SandboxSpec(parse(["files"]), Exec.NEVER, Egress.NONE, mount, image("base"))
    name = f"trilemma-bench-{secrets.token_hex(6)}"
    tree = HostTree().volume()
    settings = Settings(spec, name, runtime.instance, runtime.exchange(), tree)
    config = configuration(settings)
    if not hardened:
        config["Entrypoint"] = [*ENTRYPOINT[:-1], "-c", _UNHARDENED]
        config["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true"]
    try:
        channel = Channel(SocketTransport(engine).start(config, settings).control)
        channel.configure(spec)
        yield channel
        channel.close()
    finally:
        engine.remove(name)


def _call(channel: Channel, numbers: "count[int]") -> None:
    call = SandboxCall(f"call-{next(numbers)}", BuiltinEntry("list_files"), {}, 10)
    result = channel.call(call)
    assert len(result.value) == FILES, result
