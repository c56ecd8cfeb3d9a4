"""Modules that are imported before the lock: afterwards no C extension can be loaded.

All come from the tool host's own tree, and nothing that an image holds is ever imported here.
"""

import importlib

from . import catalog
from .settings import Settings

ZONES = "/opt/trilemma/usr/share/zoneinfo"
"""The tables of time zones: an image may hold none."""

# All of the standard library's that a tool may sensibly use; the rest is built into the
# interpreter, and what is written in Python can be imported at any time.
EXTENSIONS = (
    *("_bz2", "_contextvars", "_decimal", "_hashlib", "_json", "_lzma", "_queue", "_sqlite3"),
    *("_uuid", "_zoneinfo", "mmap"),
)

# Importing one of these does something, such as opening a browser, reading the image's settings
# for terminals, or (a ``__main__`` of whatever package) running a program: that of unittest runs
# every ``test*.py`` that lies about.
_EFFECTS = frozenset(
    {"antigravity", "this", "idlelib", "turtledemo", "turtle", "__main__", "test"}
) | {"readline", "rlcompleter"}


def preload(settings: Settings) -> list[str]:
    """Import what this profile needs; returns what a tool module names and is not there."""
    for name in catalog.names_for(settings):
        catalog.load(name)
    if settings.exec == "once":
        importlib.import_module(".command", __package__)
    if settings.egress == "tunnel":
        importlib.import_module(".relay", __package__)
    return _preload_modules(settings) if settings.modules else []


def _preload_modules(settings: Settings) -> list[str]:
    import zoneinfo

    from . import imports, modules  # noqa: F401

    zoneinfo.reset_tzpath((ZONES,))
    for name in EXTENSIONS:
        importlib.import_module(name)
    return [name for name in imports.named_in(settings.modules) if not _import(name)]


def _import(name: str) -> bool:
    """Import a module that a shipped tool names. Only the standard library is found."""
    if not _EFFECTS.isdisjoint(name.split(".")):
        return False
    try:
        importlib.import_module(name)
    except (Exception, SystemExit):
        return False
    return True
