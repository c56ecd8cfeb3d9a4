"""What benchmarks run on: folders on a real disk, gateways with ledgers of their own."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trilemma import Agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.session import LocalSession
from trilemma.gateway.settings import Durability, Settings

FILES = 20
"""Files in the folder that gets listed."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of the benchmarks."""

    root: Path
    """Everything is made below; it must lie on a disk, or a ledger costs nothing."""
    scale: float
    """How many of the usual repetitions: 1 for figures to publish."""

    def times(self, usual: int) -> int:
        """The repetitions of this run."""
        return max(3, round(usual * self.scale))

    def folder(self) -> Path:
        """A new empty folder."""
        return Path(tempfile.mkdtemp(dir=self.root))

    def workspace(self) -> Path:
        """A new folder with a few small files."""
        folder = self.folder()
        folder.chmod(0o755)
        for number in range(FILES):
            (folder / f"note-{number:02}.txt").write_text(f"note {number}\n")
        return folder

    def settings(self, durability: Durability = "full", policy: Path | None = None) -> Settings:
        """The settings of a gateway of its own."""
        home = self.folder()
        return Settings(
            state=home / "state",
            config=home / "config",
            cache=home / "cache",
            runtime=Settings.from_environment().runtime,
            durability=durability,
            policy_file=policy,
        )


@contextmanager
def staged(scale: float, parent: Path) -> Iterator[Stage]:
    """A stage below ``parent``, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="trilemma-bench-", dir=parent) as root:
        yield Stage(Path(root), scale)


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[LocalGateway]:
    """A gateway, closed with everything it started."""
    started = LocalGateway.start(settings)
    try:
        yield started
    finally:
        await started.close()


@asynccontextmanager
async def session(
    settings: Settings, grants: Sequence[str], tools: Sequence[str], **options: Any
) -> AsyncIterator[LocalSession]:
    """One open session of one agent in a gateway of its own."""
    agent = Agent(model="gullible", grants=grants, tools=tools, **options)
    async with gateway(settings) as started:
        opened = await started.open(agent.spec)
        try:
            yield opened
        finally:
            await opened.close("done")
