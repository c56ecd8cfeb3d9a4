"""The machine and the code that figures were measured on."""

import os
import platform
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parent.parent
_CODE = ("benchmarks/*.py", "gateway", "inference", "policy", "sandbox", "src", "subagents")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and on what a run took place."""

    date: str
    commit: str
    processor: str
    cores: int
    memory_gib: int
    kernel: str
    python: str
    engine: str
    file_system: str
    load_before: float
    """One-minute load average before the run: what else the machine was doing."""
    load_after: float = 0.0
    """The same after a benchmark, whose own work is in it."""

    @classmethod
    def here(cls, state: Path) -> Self:
        """This machine, now; ledgers lie below ``state``."""
        return cls(
            date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            commit=_commit(),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            kernel=platform.release(),
            python=platform.python_version(),
            engine=_output("docker", "version", "--format", "Docker {{.Server.Version}}"),
            file_system=_output("stat", "--file-system", "--format=%T", str(state)),
            load_before=round(os.getloadavg()[0], 2),
        )

    def afterwards(self) -> Self:
        """The same machine after a benchmark."""
        return replace(self, load_after=round(os.getloadavg()[0], 2))


def wait_until_quiet(limit: float, seconds: float) -> bool:
    """Wait until the one-minute load is below ``limit``; whether it ever was."""
    deadline = time.monotonic() + seconds
    while os.getloadavg()[0] >= limit:
        if time.monotonic() > deadline:
            return False
        time.sleep(2)
    return True


def _commit() -> str:
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD") or "no repository"
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--", *_CODE)
    return f"{commit} with uncommitted changes" if changed else commit


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
