"""Wheels as files of an image: what an installer would put where."""

import configparser
import re
import zipfile
from pathlib import Path

from trilemma.errors import SandboxError

from .rootfs.tree import Tree

SITE = "usr/local/lib/python3.11/dist-packages"
_SCRIPTS = "usr/local/bin"
_DATA = {
    "purelib": SITE,
    "platlib": SITE,
    "scripts": _SCRIPTS,
    "data": "usr/local",
    "headers": "usr/local/include",
}
_ENTRY = re.compile(r"([\w.]+):([\w.]+)(\s*\[.*\])?")
_START = """#!/usr/bin/python3
import sys
from {module} import {first}
sys.exit({function}())
"""


def add_wheel(tree: Tree, wheel: Path) -> None:
    """Add one wheel's files, and a starter for each of its commands."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    _add(tree, archive, member)
    except zipfile.BadZipFile as error:
        raise SandboxError(f"{wheel.name!r} is not a wheel: {error}") from error


def _add(tree: Tree, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    path, content = _place(member.filename), archive.read(member)
    script = path.startswith(f"{_SCRIPTS}/")
    if script:
        content = re.sub(rb"\A#!pythonw?\b", b"#!/usr/bin/python3", content)
    executable = script or (member.external_attr >> 16) & 0o100
    tree.add(path, content, 0o755 if executable else 0o644)
    if re.fullmatch(r"[^/]+\.dist-info/entry_points\.txt", member.filename):
        _add_commands(tree, content.decode())


def _place(name: str) -> str:
    """Where a wheel's member goes: the site folder, or what its ``.data`` folder says."""
    match = re.fullmatch(r"[^/]+\.data/([^/]+)/(.+)", name)
    if not match:
        return f"{SITE}/{name}"
    if match[1] not in _DATA:
        raise SandboxError(f"a wheel holds files for an unknown place: {name!r}")
    return f"{_DATA[match[1]]}/{match[2]}"


def _add_commands(tree: Tree, text: str) -> None:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    commands = dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}
    for name, target in commands.items():
        entry = _ENTRY.fullmatch(target.strip())
        if entry and re.fullmatch(r"[\w.-]+", name):
            first = entry[2].partition(".")[0]
            start = _START.format(module=entry[1], first=first, function=entry[2])
            tree.add(f"{_SCRIPTS}/{name}", start.encode(), 0o755)
