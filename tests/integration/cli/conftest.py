"""The real ``trilemma`` command in processes of its own, and what they leave behind: nothing."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trilemma.sandbox.runtime import Instance, default_root

if TYPE_CHECKING:
    from trilemma.sandbox.engine import Engine

PATIENCE = 30.0
_INSTANCE = "dev.trilemma.instance"


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """Its one clear line: there must be no more and no less."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "internal error" not in self.err
        return lines[0]


@dataclass
class Cli:
    """Runs the command with a home of its own."""

    home: Path
    cwd: Path
    processes: "list[subprocess.Popen[Any]]" = field(default_factory=list)

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> Ended:
        process = self.start(*words, **environment)
        out, err = process.communicate(stdin, timeout=100)
        return Ended(process.returncode, out, err)

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        """Begin a command; its caller ends it."""
        process = subprocess.Popen(
            self._command(words),
            cwd=self.cwd,
            env=self._environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def terminal(self, *words: str, **environment: str) -> "Terminal":
        """Begin a command at a terminal of its own."""
        main, sub = pty.openpty()
        process = subprocess.Popen(
            self._command(words),
            cwd=self.cwd,
            env=self._environment({"TERM": "xterm-256color", **environment}),
            stdin=sub,
            stdout=sub,
            stderr=sub,
            start_new_session=True,
        )
        os.close(sub)
        self.processes.append(process)
        return Terminal(process, main)

    def leftovers(self) -> list[str]:
        """Processes, runtime directories and mounts of the commands that were run."""
        mine = f"TRILEMMA_HOME={self.home}\0".encode()
        found = [f"process {p}" for p in _processes() if mine in _environ(p)]
        if default_root().is_dir():
            found += [f"folder {p}" for p in default_root().iterdir() if self._is_ours(p.name)]
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        found += [m for m in mounts if any(map(self._is_ours, m.split()[1].split("/")))]
        return found

    def containers(self, engine: "Engine") -> list[str]:
        """Containers of the commands that were run."""
        return [
            f"container {c['Id'][:12]}"
            for c in engine.containers(_INSTANCE)
            if self._is_ours(c["Labels"][_INSTANCE])
        ]

    def _is_ours(self, name: str) -> bool:
        instance = Instance.parse(name)
        return instance is not None and instance.pid in {process.pid for process in self.processes}

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "trilemma", *words]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**os.environ, "TRILEMMA_HOME": str(self.home), **more}


@dataclass
class Terminal:
    """A command at a terminal, and the person in front of it."""

    process: "subprocess.Popen[bytes]"
    main: int
    seen: str = ""

    def await_text(self, pattern: str) -> str:
        """Read until the pattern was shown."""
        while not re.search(pattern, self.seen):
            self._read()
        return self.seen

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.main, text.encode())

    def end(self) -> int:
        """Read to the end; the exit status."""
        try:
            while True:
                self._read()
        except (OSError, EOFError):
            os.close(self.main)
        return self.process.wait(PATIENCE)

    def _read(self) -> None:
        # Linux raises EIO here when the last writer has gone.
        data = os.read(self.main, 65536)
        if not data:
            raise EOFError(self.seen)
        self.seen += data.decode("utf-8", "replace")


def eventually(condition: Callable[[], object]) -> None:
    """Wait for a condition, and no longer than it takes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cli]:
    """The command, where no container engine is needed."""
    cli = Cli(tmp_path / "home", tmp_path)
    yield cli
    for process in cli.processes:
        # Where a test failed half way; the others have ended.
        process.kill()
        process.wait(PATIENCE)
    eventually(lambda: not cli.leftovers())


@pytest.fixture
def cli(alone: Cli, engine: "Engine", base_image: str, code_image: str) -> Iterator[Cli]:
    """The command, on a machine with everything. Whatever ran, nothing of it is left."""
    yield alone
    eventually(lambda: not alone.containers(engine))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one note."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "note.txt").write_text("the meeting is on Thursday\n")
    return folder


@pytest.fixture
def agent(tmp_path: Path, folder: Path) -> str:
    """An agent that reads, writes and runs, but never reaches the internet."""
    path = tmp_path / "agent.yaml"
    path.write_text(
        "version: 1\n"
        "name: worker\n"
        "model: gullible\n"
        "grants: [files, code]\n"
        "tools: [read_file, write_file, run_code, http_fetch]\n"
        "workspace: {path: work, origin: own}\n"
    )
    return str(path)
