"""Gateways to be killed: each runs eight sessions at once until it is. Started by wreck.py.

SIGTERM lets the sessions end as they are and closes the gateway; Ctrl-C ends them at once.
Reads lines ``SEED STATE CONFIG RUNTIME FOLDERS PORT`` and forks a gateway for each, whose process
id it prints. A call's id in the ledger is also the name of what the call leaves behind: a file, or
a path that a server was asked for.
"""

import asyncio
import json
import os
import random
import signal
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from trilemma.errors import TrilemmaError
from trilemma.gateway import session
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.inference.messages import ToolCall

SESSIONS = 8
CALLS = 5
TAG: ContextVar[str] = ContextVar("TAG")

WRITE = "open('{tag}', 'w').close()\nimport time\ntime.sleep({pause})"
FETCH = "import urllib.request as u\nu.urlopen('http://listed.example:{port}/{tag}').read()"

PAIRS: list[list[str] | None] = [["files", "code"], ["files", "internet"], ["internet", "code"]]


class Slot:
    """One of the sessions that run side by side."""

    def __init__(self, gateway: LocalGateway, name: str, folders: Path, port: int) -> None:
        self.gateway = gateway
        self.name = name
        self.folders = folders
        self.port = port
        self.dice = random.Random(name)
        self.made = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Run one session after the other."""
        while not stop.is_set():
            grants = self.dice.choice([*PAIRS, None])
            try:
                opened = await self.gateway.open(self.spec(grants), new_domain=True)
            except TrilemmaError as error:
                print(error, file=sys.stderr, flush=True)
                raise
            for _ in range(CALLS):
                await asyncio.gather(self.call(opened), self.call(opened))
            await opened.close("done")

    def spec(self, grants: list[str] | None) -> Any:
        """An agent with these grants: on the shared folder, or directly on one of its own."""
        data: dict[str, Any] = {
            "model": "gullible",
            "grants": grants,
            "tools": ["write_file", "http_fetch", "run_code"],
            "hosts": [{"host": "listed.example", "ports": [self.port], "schemes": ["http"]}],
        }
        if grants is None or "files" in grants:
            direct = self.dice.random() < 0.3
            path = self.folders / (f"direct-{self.name}-{self.made}" if direct else "shared")
            path.mkdir(exist_ok=True)
            mode = "direct" if direct else "layer"
            data["workspace"] = {"path": str(path), "origin": "own", "mode": mode}
        return read_agent(data, origin="test", base=Path())

    async def call(self, opened: Any) -> None:
        """Make one call, whether it is allowed or not."""
        self.made += 1
        tag = f"{self.name}-{self.made}"
        tool = self.dice.choice([offered.name for offered in opened.tools])
        TAG.set(tag)
        arguments = json.dumps(self.arguments(tool, tag, opened))
        await opened.call_tool(ToolCall("c", tool, arguments))

    def arguments(self, tool: str, tag: str, opened: Any) -> dict[str, str]:
        """What makes the tool leave the tag behind."""
        if tool == "write_file":
            return {"path": tag, "text": tag}
        if tool == "http_fetch":
            return {"url": f"http://listed.example:{self.port}/{tag}"}
        pause = round(self.dice.uniform(0, 0.1), 3)
        code = FETCH if opened.workspace is None else WRITE
        return {"language": "python", "code": code.format(tag=tag, port=self.port, pause=pause)}


async def run(gateway: LocalGateway, seed: str, folders: Path, port: int) -> None:
    """Run all slots."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    slots = [Slot(gateway, f"{seed}-{n}", folders, port) for n in range(SESSIONS)]
    try:
        async with asyncio.TaskGroup() as tasks:
            for slot in slots:
                tasks.create_task(slot.run(stop))
    finally:
        await gateway.close()


def main(seed: str, state: str, config: str, runtime: str, folders: str, port: str) -> None:
    """Be a gateway."""
    vars(session)["call_id"] = TAG.get
    settings = Settings(Path(state), Path(config), Path(config), Path(runtime), warm=0)
    gateway = LocalGateway.start(settings)
    asyncio.run(run(gateway, seed, Path(folders), int(port)))


def fork(line: str) -> int:
    """Start a gateway; its process id."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            main(*line.split())
        finally:
            os._exit(3)
    return child


if __name__ == "__main__":
    # The sandbox's modules are imported once, not by every gateway.
    import trilemma.gateway.machinery  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        print(fork(line), flush=True)
