"""Modules that are imported before the lock: afterwards no C extension can be loaded."""

import importlib
import os
import sys

from . import catalog
from .settings import Settings

SITES = ("/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages")
"""Where an image keeps the Python packages that were built into it."""

# All of the standard library's that a tool may sensibly use; the rest is built into the
# interpreter, and what is written in Python can be imported at any time.
EXTENSIONS = (
    *("_bz2", "_contextvars", "_decimal", "_hashlib", "_json", "_lzma", "_queue", "_sqlite3"),
    *("_uuid", "_zoneinfo", "mmap"),
)

# Importing one of these does something, such as opening a browser.
_EFFECTS = frozenset({"antigravity", "this", "idlelib", "turtledemo", "turtle", "__main__", "test"})


def preload(settings: Settings) -> list[str]:
    """Import what this profile needs; returns what a tool module names and is not there."""
    # Without site, which would also run whatever .pth files say.
    sys.path.extend(filter(os.path.isdir, SITES))
    for name in catalog.names_for(settings):
        catalog.load(name)
    if settings.exec == "once":
        importlib.import_module(".command", __package__)
    if settings.egress == "tunnel":
        importlib.import_module(".relay", __package__)
    return _preload_modules(settings) if settings.modules else []


def _preload_modules(settings: Settings) -> list[str]:
    from . import imports, modules  # noqa: F401

    for name in EXTENSIONS:
        importlib.import_module(name)
    return [name for name in imports.named_in(settings.modules) if not _import(name)]


def _import(name: str) -> bool:
    """Import a module that a shipped tool names. Only what is baked in can be found."""
    if name.partition(".")[0] in _EFFECTS:
        return False
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True
