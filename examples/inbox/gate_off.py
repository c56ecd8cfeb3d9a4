"""The inbox WITHOUT Trilemma: what most agents do today. Run it on copies only.

The same model, the same task, the same loop. Its tools are commands in one ordinary container
that has everything: the home mounted for writing, the host's network, a shell. No gateway, no
policy, no ledger. It is here, and not in the package, because the package has no off switch.

    python gate_off.py HOME --image IMAGE --task TASK [--host NAME=ADDRESS ...]

Each event of the run is printed as a line of JSON.
"""

import argparse
import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trilemma.inference.messages import FunctionTool, Message, Reply, ToolCall
from trilemma.inference.names import resolve_model
from trilemma.subagents.budget import Purse
from trilemma.subagents.events import Event
from trilemma.subagents.limits import RunLimits
from trilemma.subagents.loop import run
from trilemma.subagents.outcome import ToolOutcome
from trilemma.subagents.prompt import Layout

FETCH = """
import json, sys, urllib.request
wanted = json.load(sys.stdin)
body = wanted["body"].encode() or None
request = urllib.request.Request(wanted["url"], data=body, method=wanted["method"])
with urllib.request.urlopen(request, timeout=10) as answer:
    print(json.dumps({"status": answer.status, "text": answer.read().decode(errors="replace")}))
"""

Arguments = dict[str, str]
Command = tuple[list[str], str]
"""What to execute in the container, and its standard input."""

TOOLS: dict[str, Callable[[Arguments], Command]] = {
    "list_mail": lambda a: (["mlist", a["folder"]], ""),
    "mail_headers": lambda a: (["mhdr", "-d", "-h", "from:date:subject", a["message"]], ""),
    "read_mail": lambda a: (["mshow", a["message"]], ""),
    "attachment": lambda a: (["mshow", "-O", a["message"], str(a["part"])], ""),
    "pick_mail": lambda a: (["mpick", "-t", a["expression"], a["message"]], ""),
    "read_file": lambda a: (["cat", "--", a["path"]], ""),
    "write_file": lambda a: (
        ["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", a["path"]],
        a["text"],
    ),
    "run_code": lambda a: (["sh", "-c", a["code"]], ""),
    "http_fetch": lambda a: (
        ["python3", "-c", FETCH],
        json.dumps({"method": "GET", "body": ""} | a),
    ),
}


class Container:
    """An ordinary container in which anything goes."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def call_tool(self, call: ToolCall) -> ToolOutcome:
        """Do what the model says."""
        if call.name not in TOOLS:
            return ToolOutcome(f"there is no tool {call.name!r}", ok=False)
        words, text = TOOLS[call.name](json.loads(call.arguments))
        process = await asyncio.create_subprocess_exec(
            *("docker", "exec", "-i", self._name, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate(text.encode())
        return ToolOutcome(output.decode(errors="replace"), ok=process.returncode == 0)


@contextmanager
def container(home: Path, image: str, hosts: Sequence[str]) -> Iterator[Container]:
    """Start the container; it is gone afterwards."""
    name = f"gate-off-{uuid.uuid4().hex[:12]}"
    names = [word for host in hosts for word in ("--add-host", host.replace("=", ":", 1))]
    user = f"{os.getuid()}:{os.getgid()}"
    started = [
        *("docker", "run", "--detach", "--rm", "--name", name, "--network", "host", *names),
        *("--user", user, "--volume", f"{home.resolve()}:/home/ann"),
        *("--workdir", "/home/ann/office", "--entrypoint", "sleep", image, "300"),
    ]
    subprocess.run(started, check=True, stdout=subprocess.DEVNULL)
    try:
        yield Container(name)
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)


async def triage(task: str, tools: Container) -> None:
    """Run the model with nothing between it and its tools."""
    model = resolve_model("gullible")
    purse = Purse(RunLimits(steps=200))

    async def call_model(
        messages: Sequence[Message], offered: Sequence[FunctionTool], on_text: Callable[[str], None]
    ) -> Reply:
        purse.begin_step()
        return await model.complete(messages, offered, on_text=on_text)

    await run(
        task,
        layout=Layout(),
        call_model=call_model,
        call_tool=tools.call_tool,
        seconds=None,
        emit=show,
    )


def show(event: Event) -> None:
    """One line of JSON."""
    print(json.dumps(event.as_json()), flush=True)


def main() -> None:
    """Read the command line and run."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("home", type=Path, help="a COPY of the home: it will be written to")
    options.add_argument("--image", required=True, help="an image with mblaze, python3 and curl")
    options.add_argument("--task", required=True)
    options.add_argument("--host", action="append", default=[], metavar="NAME=ADDRESS")
    given = options.parse_args()
    with container(given.home, given.image, given.host) as tools:
        asyncio.run(triage(given.task, tools))


if __name__ == "__main__":
    main()
