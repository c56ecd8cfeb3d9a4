"""Looks up names in the source of an installed package with a searcher for each, side by side.

python ask.py [--alone] [--model PROVIDER/MODEL] [PACKAGE [NAME ...]]
"""

import argparse
import ast
import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trilemma import Agent, Result
from trilemma.inference.messages import Usage
from trilemma.subagents.events import Event, StepFinished, SubagentEvent

HERE = Path(__file__).resolve().parent
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGE = "pydantic"
NAMES = (
    *("BaseModel", "TypeAdapter", "FieldInfo", "RootModel"),
    *("GenerateSchema", "GenerateJsonSchema", "SecretStr", "AliasGenerator"),
)
SEARCHES = r"""
CALL search_files {{"pattern": "\\b{name}\\b", "files": "*.py", "limit": 40}}
CALL search_files {{"pattern": "import .*\\b{name}\\b", "files": "*.py", "limit": 15}}
CALL search_files {{"pattern": "^ *(class|def) {name}\\b", "files": "*.py", "limit": 5}}
"""
CHECK = """
import ast, pathlib
wanted = {names}
for path in sorted(pathlib.Path('.').rglob('*.py')):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in wanted:
            print(f'{{path}}:{{node.lineno}}: {{node.name}}')
"""


def copy_source(package: str, target: Path) -> None:
    """Copy an installed package: its folder stays as it is, without even a mark."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{package!r} is not an installed package")
    shutil.rmtree(target, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(found.submodule_search_locations[0], target, ignore=ignored)


def overview(source: Path) -> str:
    """What every searcher needs to know: a map of the source tree."""
    lines = [_line(source, path) for path in sorted(source.rglob("*.py"))]
    return "\n".join(["The files of the source tree, and what each defines:", *lines])


def _line(source: Path, path: Path) -> str:
    text = path.read_text()
    named = [node for node in ast.parse(text).body if isinstance(node, DEFINITIONS)]
    names = ", ".join(dict.fromkeys(node.name for node in named))
    return f"{path.relative_to(source)} ({len(text.splitlines())} lines): {names}"


def question(agent: Agent, name: str) -> str:
    """What is to be found out about one name."""
    asked = f"Where is {name} defined, who uses it, and who imports it?"
    return f"{asked}\n{SEARCHES.format(name=name)}" if obeys(agent) else asked


def in_the_end(agent: Agent, names: Sequence[str]) -> str:
    """What is asked when all is found."""
    asked = f"Where are these defined: {', '.join(names)}? Check it by running code."
    run = {"language": "python", "code": CHECK.format(names=set(names))}
    return f"{asked}\nCALL run_code {json.dumps(run)}" if obeys(agent) else asked


def obeys(agent: Agent) -> bool:
    """Whether it runs on the model that does what orders in a text say, and plans nothing."""
    return agent.spec.model.endswith("gullible")


async def together(agent: Agent, names: Sequence[str], **options: Any) -> Result:
    """A searcher for each name, all at once; the parent puts their answers together."""
    context = overview(agent.spec.base / "source")
    async with agent.open(**options) as team:
        found = await team.map(
            "searcher", [question(agent, name) for name in names], context=context
        )
        answers = "\n\n".join(f"{result}" for result in found)
        return await team.run(f"{in_the_end(agent, names)}\nThe searchers say:\n{answers}")


async def alone(agent: Agent, names: Sequence[str], **options: Any) -> Result:
    """The same work by the parent itself, one call after another."""
    context = overview(agent.spec.base / "source")
    questions = [question(agent, name) for name in names]
    return await agent.arun("\n\n".join([context, *questions, in_the_end(agent, names)]), **options)


class Tally:
    """Counts, from the events, what all agents together sent to the model."""

    def __init__(self) -> None:
        self.steps = 0
        self.usage: dict[str, Usage] = {}

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        who = ""
        if isinstance(event, SubagentEvent):
            who, event = event.session, event.event
        if isinstance(event, StepFinished):
            self.steps += 1
            self.usage[who] = event.usage

    def __str__(self) -> str:
        sent = sum(usage.input_tokens for usage in self.usage.values())
        cached = sum(usage.cached_tokens for usage in self.usage.values())
        kept = f", {cached} of them from its cache" if cached else ""
        return f"{len(self.usage)} agents asked the model {self.steps} times: {sent} tokens{kept}"


def main() -> None:
    """Ask, and print the answer and what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", action="store_true", help="one agent, for comparison")
    parser.add_argument("--model", default=os.environ.get("TRILEMMA_MODEL", "gullible"))
    parser.add_argument("package", nargs="?", default=PACKAGE)
    parser.add_argument("names", nargs="*", default=NAMES)
    options = parser.parse_args()
    copy_source(options.package, HERE / "source")
    agent = Agent.from_file(HERE / "agent.yaml")
    agent.spec = agent.spec.model_copy(update={"model": options.model})
    tally, started = Tally(), time.monotonic()
    way = alone if options.alone else together
    print(asyncio.run(way(agent, options.names, on_event=tally)).text)
    print(f"\n{tally}, in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
