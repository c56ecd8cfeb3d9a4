"""A gateway of its own that takes one capability in a given domain. Run by test_gateway_latch.py.

``take_one.py files|internet|code DOMAIN PORT STATE CONFIG RUNTIME FOLDER``: says ``ready``, waits
for a line, acts, and prints whether the act succeeded.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from trilemma.errors import Denied
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.inference.messages import ToolCall

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "files": ("read_file", {"path": "a.txt"}),
    "internet": ("http_fetch", {"url": "http://listed.example:PORT/x"}),
    "code": ("run_code", {"language": "python", "code": "print(6 * 7)"}),
}


async def act(gateway: LocalGateway, which: str, port: str, folder: str) -> bool:
    """Open the session and make the call."""
    tool, arguments = CALLS[which]
    data: dict[str, Any] = {"model": "gullible", "tools": [tool]}
    if which == "files":
        data["workspace"] = {"path": folder, "origin": "own"}
    if which == "internet":
        data["hosts"] = [{"host": "listed.example", "ports": [int(port)], "schemes": ["http"]}]
    try:
        session = await gateway.open(read_agent(data, origin="test", base=Path()))
    except Denied:
        return False
    text = json.dumps(arguments).replace("PORT", port)
    outcome = await session.call_tool(ToolCall("c", tool, text))
    await session.close("done")
    return outcome.ok


def main(which: str, domain: str, port: str, *places: str) -> None:
    """Get ready, wait, act."""
    state, config, runtime, folder = places
    settings = Settings(Path(state), Path(config), Path(config), Path(runtime), warm=0)
    gateway = LocalGateway.start(settings)
    gateway._domain = domain
    gateway._started()
    print("ready", flush=True)
    sys.stdin.readline()
    done = asyncio.run(act(gateway, which, port, folder))
    gateway.end()
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
