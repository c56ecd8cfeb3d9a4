"""User namespaces that serve one purpose: to show a folder's owner as the sandbox's user."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import SandboxError

SANDBOX_ID = 64101
"""User and group of a sandbox whose folder belongs to root. Chosen high: nobody's account."""

# The child only has to exist until its namespace is open. It gets no input but its own end.
_CHILD = (
    "import ctypes, sys\n"
    "failed = ctypes.CDLL(None, use_errno=True).unshare(0x10000000)\n"
    "print(ctypes.get_errno() if failed else 'ok', flush=True)\n"
    "sys.stdin.read()\n"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and group that a folder's files belong to, on disk or in a view."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of ids that this process may map."""

    first: int
    count: int


def sandbox_owner(uid: int, gid: int) -> Owner:
    """Who a sandbox runs as for a folder of ``uid`` and ``gid``: the same, but never root."""
    return Owner(uid or SANDBOX_ID, gid or SANDBOX_ID)


def swapped(extents: list[Extent], first: int, second: int) -> str:
    """An id map in which ``first`` and ``second`` change places and all others stay.

    Others must stay: an overlay cannot copy up a file whose owner has no id in the view.
    """
    exchange = {first: second, second: first}
    lines = []
    for extent in extents:
        start, end = extent.first, extent.first + extent.count
        for point in sorted(exchange):
            if start <= point < end:
                if point > start:
                    lines.append(f"{start} {start} {point - start}")
                lines.append(f"{point} {exchange[point]} 1")
                start = point + 1
        if start < end:
            lines.append(f"{start} {start} {end - start}")
    return "\n".join(lines) + "\n"


def _extents(kind: str) -> list[Extent]:
    text = Path(f"/proc/self/{kind}").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines())
    return [Extent(int(inside), int(count)) for inside, _, count in rows]


class IdMaps:
    """Makes each needed namespace once and keeps it open. Safe between threads."""

    def __init__(self) -> None:
        self._open: dict[tuple[Owner, Owner], int] = {}
        self._lock = threading.Lock()

    def between(self, disk: Owner, view: Owner) -> int | None:
        """A namespace that shows ``disk``'s files as ``view``'s; None where the user is the same.

        Raises:
            SandboxError: the kernel makes no user namespaces.
        """
        if disk.uid == view.uid:
            return None
        with self._lock:
            if (disk, view) not in self._open:
                self._open[disk, view] = _namespace(disk, view)
            return self._open[disk, view]

    def close(self) -> None:
        """Give back every namespace."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])


def _namespace(disk: Owner, view: Owner) -> int:
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        answer = child.stdout.readline().strip()
        try:
            if answer != b"ok":
                raise OSError(int(answer or 0), os.strerror(int(answer or 0)))
            proc = Path(f"/proc/{child.pid}")
            uids = swapped(_extents("uid_map"), disk.uid, view.uid)
            gids = swapped(_extents("gid_map"), disk.gid, view.gid)
            (proc / "uid_map").write_text(uids, encoding="ascii")
            (proc / "gid_map").write_text(gids, encoding="ascii")
            return os.open(proc / "ns/user", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxError(
                f"the kernel makes no user namespace to map the owner of a folder: {error}"
            ) from None
        finally:
            child.stdin.close()
