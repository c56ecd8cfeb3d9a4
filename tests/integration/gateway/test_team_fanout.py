"""64 sub-agents with real sandboxes at once: all finish, in bounded memory and few containers."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from trilemma import Agent, Client, Result, child
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.subagents.events import Event

pytestmark = pytest.mark.docker

CHILDREN = 64
TUNNELS = 20
ALLOWED_MB = 256
"""Each thread that decides has a policy engine of its own, of 2.4 MB."""


@dataclass
class Watched:
    """A gateway whose containers are counted whenever something happens."""

    gateway: LocalGateway
    most: int = 0

    def __call__(self, event: Event) -> None:
        machinery = self.gateway._machinery
        assert machinery is not None
        self.most = max(self.most, len(machinery.pool._leased))

    def run(self, agent: Agent, tasks: list[str], at_once: int) -> list[Result]:
        async def main() -> list[Result]:
            async with agent.open(client=Client(self.gateway), on_event=self) as team:
                return await team.map("worker", tasks, at_once=at_once)

        return asyncio.run(main())


@pytest.fixture
def watched(settings: Settings) -> Iterator[Watched]:
    gateway = LocalGateway.start(replace(settings, sandboxes=16))
    yield Watched(gateway)
    gateway.end()


def lead(grants: list[str], tools: list[str], **more: Any) -> Agent:
    access: Literal["read", "none"] = "read" if "workspace" in more else "none"
    worker = child("worker", tools=tools, workspace=access)
    return Agent(
        model="gullible",
        name="lead",
        grants=grants,
        tools=tools,
        agents=[worker],
        limits={"steps": 4 * CHILDREN},
        team={"width": CHILDREN},
        **more,
    )


def peak_mb(*, begin: bool = False) -> float:
    """The most memory that this process had in use since the last ``begin``."""
    if begin:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def test_64_with_the_same_profile_share_the_sandboxes_of_their_domain(
    watched: Watched, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(CHILDREN):
        (folder / f"{number}.md").write_text(f"note {number}.\n")
    before = peak_mb(begin=True)
    agent = lead(
        ["files", "code"],
        ["read_file", "run_code"],
        workspace={"path": str(folder), "origin": "own"},
    )
    tasks = [
        f'CALL read_file {{"path": "{n}.md"}}\n'
        f'CALL run_code {{"language": "shell", "code": "grep -c . {n}.md; cat {n}.md"}}'
        for n in range(CHILDREN)
    ]
    results = watched.run(agent, tasks, at_once=CHILDREN)
    for number, result in enumerate(results):
        assert result.ok
        assert f"note {number}." in result.text
    assert len({result.session for result in results}) == CHILDREN
    assert 1 <= watched.most <= 4, "a locked and a free one, to read and to write"
    grown = peak_mb() - before
    assert grown < ALLOWED_MB, f"{grown:.0f} MB more"


def test_those_that_need_one_each_take_turns(watched: Watched) -> None:
    """Tunnels are not shared: what leaves through one is its session's."""
    agent = lead(["internet", "code"], ["run_code"])
    tasks = [
        f'CALL run_code {{"language": "shell", "code": "echo $(({n} * 3))."}}'
        for n in range(TUNNELS)
    ]
    results = watched.run(agent, tasks, at_once=TUNNELS)
    assert [f"{3 * n}." in result.text for n, result in enumerate(results)] == [True] * TUNNELS
    assert watched.most <= 8, "a domain gets half of what there may be"
