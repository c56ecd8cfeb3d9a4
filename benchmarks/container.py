"""The peer: an ordinary container, hardened like ours, that ``docker exec`` runs a listing in."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from trilemma.gateway.machinery import image

_RUN = (
    *("docker", "run", "--rm", "--network", "none", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--read-only", "--user", "1000"),
    *("--pull", "never", "--label", "dev.trilemma.bench"),
)
_LISTING = ("ls", "/workspace")
_LIFE = "900"
"""Seconds after which it ends by itself, whatever became of the run."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running container with a folder mounted."""

    id: str
    api: Any

    def exec(self) -> list[str]:
        """List the folder with ``docker exec``."""
        return _output("docker", "exec", self.id, *_LISTING).split()

    def exec_by_api(self) -> list[str]:
        """The same through the Engine's API, without starting the ``docker`` program."""
        made = self.api.exec_create(self.id, list(_LISTING))
        output: bytes = self.api.exec_start(made["Id"])
        return output.decode().split()


@contextmanager
def peer(folder: Path) -> Iterator[Peer]:
    """A peer with ``folder`` read-only at ``/workspace``."""
    mount = f"type=bind,source={folder},target=/workspace,readonly"
    made = _output(*_RUN, "--detach", "--mount", mount, image("code"), "sleep", _LIFE)
    api: Any = docker.APIClient(version="auto")
    try:
        yield Peer(made.strip(), api)
    finally:
        api.close()
        _output("docker", "rm", "--force", made.strip())


def run_once() -> None:
    """``docker run`` of a hardened container that does nothing."""
    _output(*_RUN, image("code"), "true")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
