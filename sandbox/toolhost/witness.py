"""What the tool host reads of its own container, for a gateway that cannot look from outside.

The text of ``/proc`` as it stands: the gateway reads it with the same code as its own.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from .frames import Frame


def look() -> Frame:
    """Every process, every mount, the interfaces and the namespaces."""
    return {
        "type": "seen",
        "processes": dict(_processes()),
        "mounts": _read("self/mountinfo"),
        "interfaces": _read("net/dev"),
        "namespaces": {
            name: os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "ipc", "uts")
        },
    }


def _processes() -> Iterator[tuple[str, str]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        # One that ends meanwhile is none of this sandbox's.
        with suppress(FileNotFoundError, ProcessLookupError):
            yield name, _read(f"{name}/status")


def _read(name: str) -> str:
    with open(f"/proc/{name}", encoding="utf-8", errors="backslashreplace") as file:
        return file.read()
