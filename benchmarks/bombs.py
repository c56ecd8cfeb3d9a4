"""A warm call beside a session that does its worst."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trilemma import Agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.session import LocalSession
from trilemma.inference.messages import ToolCall

from .measure import Finding, Sample, Target, timed_async
from .stage import FILES, Stage, gateway

TITLE = "A warm call beside a bomb"
METHOD = """
Two sessions of one gateway at full durability, in domains of their own. One lists a folder of 20
files with `list_files` again and again; the other, with {files, code} and the default limits, runs
a bomb with `run_code` meanwhile. *Beside nothing* is the first one alone; between two bombs it is
measured again, so that all figures come from one stretch of time. A bomb that is ended, by its time
or by the kernel, is followed by another of its kind. Every listing is compared with what is there.
"""
_SECONDS = 4.0
_SETTLED = 0.5
"""Seconds that a bomb is given to unfold."""
_PYTHON = {
    "processor": "while True: pass",
    "threads": (
        "import threading\n"
        "def spin():\n"
        "  while True: pass\n"
        "for _ in range(64): threading.Thread(target=spin).start()\n"
    ),
    "processes": "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
    "memory": (
        "import os\n"
        "while True:\n"
        "  if os.fork() == 0:\n"
        "    kept = []\n"
        "    while True: kept.append(bytearray(os.urandom(1 << 20)))\n"
        "  os.wait()\n"
    ),
    "scratch": (
        "while True:\n"
        "  try: open('/tmp/full', 'wb').write(bytes(256 << 20))\n"
        "  except OSError: pass\n"
    ),
    "disk": (
        "import os\n"
        "while True:\n"
        "  with open('full', 'wb') as file: file.write(os.urandom(16 << 20)); os.fsync(file)\n"
    ),
    "files": (
        "import os\n"
        "while True:\n"
        "  for n in range(1000): open(f'{n}', 'w').close()\n"
        "  for n in range(1000): os.unlink(f'{n}')\n"
    ),
    "output": "while True: print('x' * 65536)",
    "unpacking": (
        "import zlib\n"
        "packed = zlib.compress(bytes(64 << 20))\n"
        "while True: zlib.decompress(packed)\n"
    ),
}


def run(stage: Stage) -> Finding:
    """Measure."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Finding:
    seconds = max(1.0, _SECONDS * stage.scale)
    times: dict[str, list[float]] = {"beside nothing": []}
    async with (
        gateway(stage.settings("full")) as running,
        _session(stage, running, ["files"], "list_files") as quiet,
        _session(stage, running, ["files", "code"], "run_code") as loud,
    ):
        await timed_async(lambda: _list(quiet), 20)
        for name, code in _PYTHON.items():
            times["beside nothing"] += await _calls(quiet, seconds / 2)
            times[f"beside a bomb of {name}"] = await _beside(quiet, loud, code, seconds)
    samples = tuple(Sample.of_seconds(name, found) for name, found in times.items())
    alone, *others = samples
    worst = max(sample.p50 for sample in others)
    return Finding(
        samples,
        (),
        (Target("p50 beside the worst bomb / beside nothing", worst / alone.p50, 3),),
    )


@asynccontextmanager
async def _session(
    stage: Stage, running: LocalGateway, grants: list[str], tool: str
) -> AsyncIterator[LocalSession]:
    workspace = {"path": str(stage.workspace()), "origin": "own"}
    agent = Agent(model="gullible", grants=grants, tools=[tool], workspace=workspace)
    opened = await running.open(agent.spec, new_domain=True)
    try:
        yield opened
    finally:
        await opened.close("done")


async def _beside(
    quiet: LocalSession, loud: LocalSession, code: str, seconds: float
) -> list[float]:
    """What calls take while bombs of another session run, one after the other."""
    arguments = json.dumps({"language": "python", "code": code, "timeout": seconds})
    enough = asyncio.Event()

    async def bomb() -> None:
        while not enough.is_set():
            await loud.call_tool(ToolCall("1", "run_code", arguments))

    bombs = asyncio.create_task(bomb())
    await asyncio.sleep(_SETTLED)
    found = await _calls(quiet, seconds)
    enough.set()
    await bombs
    return found


async def _calls(session: LocalSession, seconds: float) -> list[float]:
    """What each call takes, one after the other for so long."""
    found: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found += await timed_async(lambda: _list(session), 1)
    return found


async def _list(session: LocalSession) -> None:
    outcome = await session.call_tool(ToolCall("1", "list_files", "{}"))
    assert outcome.ok, outcome.text
    assert outcome.text.count("note-") == FILES, outcome.text
