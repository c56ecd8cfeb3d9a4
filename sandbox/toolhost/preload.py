"""Modules that are imported before the lock: afterwards no C extension can be loaded."""

import importlib
import importlib.util
import os
import re
import sys

from .settings import Settings

SITES = ("/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages")
"""Where an image keeps the Python packages that were built into it."""

# C extensions of the standard library, by the modules people import them through.
LOCKED = (
    *("array", "bisect", "heapq", "math", "cmath", "statistics", "random", "decimal"),
    *("fractions", "datetime", "zoneinfo", "calendar", "time", "struct", "hashlib", "hmac"),
    *("secrets", "uuid", "zlib", "gzip", "bz2", "lzma", "zipfile", "tarfile", "json", "csv"),
    *("re", "string", "textwrap", "difflib", "unicodedata", "html.parser", "urllib.parse"),
    *("base64", "binascii", "mimetypes", "email.parser", "email.policy", "mailbox"),
    *("xml.etree.ElementTree", "sqlite3", "ipaddress", "dataclasses", "enum", "typing"),
    *("collections", "itertools", "functools", "operator", "queue", "threading", "fcntl"),
    *("concurrent.futures", "pathlib", "shutil", "tempfile", "fnmatch", "glob", "tomllib"),
    *(
        "pickle",
        "copy",
        "inspect",
        "ast",
        "logging",
        "contextvars",
        "_codecs_jp",
        "_multibytecodec",
    ),
)
STRUCTURED = ("http.client", "socket", "select")
TUNNEL = ("asyncio",)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# Importing one of these does something, such as opening a browser.
_EFFECTS = frozenset({"antigravity", "this", "idlelib", "turtledemo", "turtle", "__main__", "test"})


def preload(settings: Settings) -> list[str]:
    """Import what this profile needs; returns the names asked for that are not there."""
    # Without site, which would also run whatever .pth files say.
    sys.path.extend(filter(os.path.isdir, SITES))
    if settings.exec != "free":
        _import_all(LOCKED)
    if settings.egress == "structured":
        _import_all(STRUCTURED)
    if settings.egress == "tunnel":
        _import_all(TUNNEL)
    return [name for name in settings.preload if not _import_asked(name)]


def _import_all(names: tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)


def _import_asked(name: str) -> bool:
    """Import a module that a shipped tool names. Only what is baked in can be found."""
    if not _NAME.fullmatch(name) or name.partition(".")[0] in _EFFECTS:
        return False
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True
