"""Changes as text for a person who decides: what runs by itself before anything else."""

import difflib
import os
from collections.abc import Iterator

from ...sandbox.folder import Folder
from .changes import Action, Change, Changes, Entry, Kind, printable
from .layers import Layer
from .look import read_text

_LONGEST = 256 * 1024
_SIGNS = {Action.ADD: "A", Action.MODIFY: "M", Action.DELETE: "D"}


def render(changes: Changes, layer: Layer, folder: Folder, *, content: bool = True) -> str:
    """The changes as text, with unified diffs of text files where ``content`` is asked for.

    Control characters are escaped, so that no file can rewrite what a terminal shows.

    Raises:
        WorkspaceError: the folder was replaced.
    """
    base = folder.open(os.O_RDONLY)
    upper = os.open(layer.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        return "\n".join(_lines(changes, base, upper, content=content)) + "\n"
    finally:
        os.close(base)
        os.close(upper)


def _lines(changes: Changes, base: int, upper: int, *, content: bool) -> Iterator[str]:
    if not changes and not changes.refused:
        yield "no changes"
    runs = [c for c in changes.changes if c.runs]
    others = [c for c in changes.changes if not c.runs]
    for title, group in (("Runs by itself, look here first:", runs), ("Other changes:", others)):
        if group:
            yield title
        for change in group:
            yield _headline(change)
            if content:
                yield from _content(change, base, upper)
    if changes.refused:
        yield "Never applied:"
    for refused in changes.refused:
        yield f"  ! {printable(refused.path)}  ({refused.why})"


def _headline(change: Change) -> str:
    notes = [change.runs] if change.runs else []
    if change.stale:
        notes.append("changed in the folder since the layer began: applying undoes that")
    if change.old and change.new and change.old.kind is not change.new.kind:
        notes.append(f"{change.old.kind} becomes {change.new.kind}")
    elif change.old and change.new and change.old.mode != change.new.mode:
        notes.append(f"mode {change.old.mode:03o} becomes {change.new.mode:03o}")
    if change.new and change.new.kind is Kind.LINK:
        notes.append(f"link to {printable(change.new.target)}")
    tail = f"  ({'; '.join(notes)})" if notes else ""
    slash = "/" if _is_directory(change.new or change.old) else ""
    return f"  {_SIGNS[change.action]} {printable(change.path)}{slash}{tail}"


def _content(change: Change, base: int, upper: int) -> Iterator[str]:
    old = _text(base, change, change.old)
    new = _text(upper, change, change.new)
    if not (_is_file(change.old) or _is_file(change.new)):
        return
    if old is None or new is None:
        yield f"      (no text: {_size(change.old)} -> {_size(change.new)})"
        return
    name = printable(change.path)
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{name}", f"b/{name}", lineterm="", n=2
    )
    for line in lines:
        yield "      " + _safe(line)


def _text(root: int, change: Change, entry: Entry | None) -> str | None:
    return read_text(root, change.path, _LONGEST) if _is_file(entry) else ""


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.FILE


def _is_directory(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY


def _size(entry: Entry | None) -> str:
    return f"{entry.size} bytes" if entry is not None and _is_file(entry) else "nothing"


def _safe(line: str) -> str:
    return "".join(c if c == "\t" or c.isprintable() else repr(c)[1:-1] for c in line)
