"""A warm enforced tool call beside ``docker exec`` of the same listing."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from trilemma.gateway.session import LocalSession
from trilemma.gateway.settings import Durability
from trilemma.inference.messages import ToolCall

from .container import Peer, peer
from .disk import Disk, disk
from .measure import Finding, Ratio, Sample, Target, timed, timed_async
from .stage import FILES, Stage, session

TITLE = "A warm enforced tool call beside `docker exec`"
METHOD = """
One session of an agent with {files, code} lists a folder of 20 files with `list_files`: arguments
parsed and checked, decided by Rego and by the rule, reserved in the ledger, run in its sandbox in
a process of its own, committed in the ledger. `full` and `normal` are the ledger's two
durabilities, each in a gateway of its own. The peers list the same folder: `docker exec` in a
container that runs already, the same through the Engine's API without starting the `docker`
program, and `ls` on the host with no sandbox at all. All take turns within one run, a few
calls of each at a time, so that whatever else the machine does meets all alike. *After a pause*
is a call that comes 20 ms after the one before, as a model's calls do. Every listing is compared
with what is there.
"""
_ROUNDS = 50
_TURN = 20
_PAUSED = 4
_PAUSE = 0.02


def run(stage: Stage) -> Finding:
    """Measure."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Finding:
    folder = stage.workspace()
    with disk(stage.folder()) as pages, peer(folder) as container:
        async with _open(stage, "full") as full, _open(stage, "normal") as normal:
            return await _take_turns(stage, full, normal, container, pages, folder)


def _open(stage: Stage, durability: Durability) -> AbstractAsyncContextManager[LocalSession]:
    workspace = {"path": str(stage.workspace()), "origin": "own"}
    settings = stage.settings(durability)
    return session(settings, ["files", "code"], ["list_files"], workspace=workspace)


async def _take_turns(
    stage: Stage,
    full: LocalSession,
    normal: LocalSession,
    container: Peer,
    pages: Disk,
    folder: Path,
) -> Finding:
    times: dict[str, list[float]] = {}

    def add(name: str, seconds: Sequence[float]) -> None:
        times.setdefault(name, []).extend(seconds)

    for opened in (full, normal):
        await timed_async(partial(_call, opened), _TURN)
    for _ in range(stage.times(_ROUNDS)):
        add("call, full", await timed_async(partial(_call, full), _TURN))
        add("docker exec", timed(lambda: _check(container.exec()), 1))
        add("call, normal", await timed_async(partial(_call, normal), _TURN))
        add("docker exec by API", timed(lambda: _check(container.exec_by_api()), 1))
        add("call after a pause, full", [await _paused(full) for _ in range(_PAUSED)])
        add("ls without a sandbox", timed(lambda: _check(_bare(folder)), 2))
        add("fdatasync of 4 KiB", timed(pages.write_page, _TURN))
    return _finding({name: Sample.of_seconds(name, found) for name, found in times.items()})


def _finding(found: dict[str, Sample]) -> Finding:
    ours = found["call, full"]
    peers = [found[name] for name in ("docker exec", "docker exec by API", "ls without a sandbox")]
    ratios = tuple(Ratio.between(other, ours) for other in peers)
    return Finding(
        tuple(found.values()),
        ratios,
        (
            Target("warm call at full durability, p50 in ms", ours.p50, 2.5),
            Target("docker exec / call at full durability", ratios[0].value, 25, at_least=True),
        ),
    )


async def _call(opened: LocalSession) -> None:
    outcome = await opened.call_tool(ToolCall("1", "list_files", "{}"))
    assert outcome.ok, outcome.text
    assert outcome.text.count("note-") == FILES, outcome.text


async def _paused(opened: LocalSession) -> float:
    await asyncio.sleep(_PAUSE)
    started = time.perf_counter()
    await _call(opened)
    return time.perf_counter() - started


def _bare(folder: Path) -> list[str]:
    listing = subprocess.run(["ls", str(folder)], capture_output=True, text=True, check=True)
    return listing.stdout.split()


def _check(names: list[str]) -> None:
    assert len(names) == FILES, names
