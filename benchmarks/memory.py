"""What processes hold of the machine's memory."""

import json
import subprocess
from pathlib import Path

_PROC = Path("/proc")


def of_container(container: str) -> float:
    """MiB held by all processes of a container, shared pages counted in proportion."""
    inside = (_PROC / str(_first(container)) / "ns/pid").readlink()
    return sum(of_process(pid) for pid in _all() if _namespace(pid) == inside)


def of_shim(container: str) -> float:
    """MiB held by the process of the container runtime that watches a container."""
    status = (_PROC / str(_first(container)) / "status").read_text()
    parent = next(line for line in status.splitlines() if line.startswith("PPid:"))
    return of_process(int(parent.split()[1]))


def of_process(pid: int) -> float:
    """MiB held by one process."""
    rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def _first(container: str) -> int:
    """The id, on the host, of the container's process 1."""
    command = ("docker", "inspect", container)
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(found)[0]["State"]["Pid"])


def _all() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def _namespace(pid: int) -> Path | None:
    try:
        return (_PROC / str(pid) / "ns/pid").readlink()
    except OSError:
        return None  # It ended meanwhile, or is none of ours.
