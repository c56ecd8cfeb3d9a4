"""Which modules the source of shipped tools names, found by a locked process."""

import ast
import json
import os
from collections.abc import Sequence
from typing import NoReturn

from . import kernel, lock
from .settings import Module

_LIMIT = 64 * 1024


def named_in(modules: Sequence[Module]) -> list[str]:
    """The names in import statements, wherever they stand; nothing of the source runs.

    The parser reads strangers' text before the tool host is locked. So it does that in a child
    that is, and from which only a list of names comes back.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _parse(modules, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read(_LIMIT)
    os.waitpid(pid, 0)
    try:
        names = json.loads(data)
    except ValueError:
        return []  # Not Python; its first call will say so.
    return sorted({name for name in names if isinstance(name, str)})


def imported(source: str) -> set[str]:
    """The modules that one source names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names - {"trilemma"}


def _parse(modules: Sequence[Module], writing: int) -> NoReturn:
    try:
        kernel.give_up_privileges()
        kernel.install_filter(lock.call_lock("once"))
        names = set[str]().union(*(imported(module.source) for module in modules))
        os.write(writing, json.dumps(sorted(names)).encode())
    finally:
        os._exit(0)
