"""Whether every thread is locked as it must be: its filters as the kernel holds them.

The number of filters says that there is a lock, the filters themselves that it is ours.
"""

import hashlib
from collections.abc import Iterator, Mapping

from .container import Settings
from .engine_filter import holes
from .expected import Finding
from .filters import Programs
from .spec import Exec
from .toolhost import lock


def of_filters(filters: Mapping[int, Programs] | None, settings: Settings) -> Iterator[Finding]:
    """What is wrong with the filters of a container's threads.

    None is a kernel that does not tell: then the number of filters and the self-test have to do.
    """
    if filters is None:
        return
    for thread, programs in filters.items():
        yield from _of_thread(thread, programs, settings)


def _of_thread(thread: int, programs: Programs, settings: Settings) -> Iterator[Finding]:
    exec_mode = settings.spec.exec
    host = lock.host_lock(exec_mode, settings.spec.egress)
    # An engine that runs under filters itself hands them on, before its own; they only narrow.
    place = programs.index(host) if host in programs else 0
    if place == 0:
        found = [_name(program) for program in programs]
        yield Finding(f"of process {thread}, the lock", f"ours, {_name(host)}", found)
        return
    if through := holes(programs[place - 1], exec_mode):
        yield Finding(f"of process {thread}, what the Engine's filter lets through", None, through)
    further = [lock.call_lock("never")] if exec_mode is Exec.NEVER else []
    if unknown := [_name(p) for p in programs[place + 1 :] if p not in further]:
        yield Finding(f"of process {thread}, the filters after the lock", "ours", unknown)


def _name(program: bytes) -> str:
    return hashlib.sha256(program).hexdigest()[:12]
