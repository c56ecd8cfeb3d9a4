"""A little of ``make soak``: each way to end a gateway once; and what is left would be noticed."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.soak.leftovers import everything
from tests.soak.soak import place, soak

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]


def test_however_sessions_end_nothing_is_left(
    engine: Any, base_image: str, code_image: str
) -> None:
    counts = soak(sessions=20, seed=1)
    assert counts["sessions"] >= 20
    assert counts["gateways"] >= 6


def test_sabotage_what_is_left_is_noticed(engine: Any, base_image: str, tmp_path: Path) -> None:
    with place() as root:
        before = everything(engine, root)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(f"{root}/left")
        waiting = [sys.executable, "-c", "import sys; sys.stdin.read()", str(root)]
        process = subprocess.Popen(waiting, stdin=subprocess.PIPE)
        subprocess.run(["mount", "-t", "tmpfs", "left", root], check=True)
        label = ("--label", "dev.trilemma.instance=x", "--volume", f"{root}:/left")
        made = subprocess.run(
            ["docker", "create", *label, base_image, "none"], capture_output=True, text=True
        ).stdout.strip()
        try:
            left = everything(engine, root) - before
            assert {thing.split()[0] for thing in left} == {
                *("container", "mount", "process", "socket")
            }
        finally:
            subprocess.run(["docker", "rm", made], check=True, capture_output=True)
            subprocess.run(["umount", root], check=True)
            process.communicate()
            listening.close()
        assert everything(engine, root) == before
