"""``docs/attempts.md``: every attack in every kind of sandbox, as the tests saw it end."""

import os
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from .rows import ROWS, Row

DOCUMENT = Path(__file__).parents[3] / "docs" / "attempts.md"

KINDS = (
    *("none", "files", "internet", "code"),
    *("files, internet", "files, code", "internet, code", "commands"),
)
TWIN = "succeeded with"
COLUMNS = (*KINDS, TWIN)

_HEAD = """# What was tried

Each attack was tried in a real container of each kind. **yes** is what was granted; everything else
is the error that the attack ended in. `commands` is a sandbox for vetted command-line tools, with
files. The last column names the container in which the same attack was seen to succeed: one that
lacks the wall, and is otherwise the same (`tests/integration/attacks/sabotage.py`).

The tests hold this table equal to what happens (`tests/integration/test_sandbox_attacks.py`,
`tests/integration/test_sandbox_twins.py`); `make attempts` writes it anew. What each wall is, and
where it stands in the code: [sandbox.md](sandbox.md).
"""

_FOOT = """
¹ Where the kernel has this family of sockets; not every kernel does.

## The sandbox that cannot be made

Files, internet and code together are refused at each layer, so there is no eighth column:

- **The policy**: a domain holds at most two (`policy/rule.py`, applied after any verdict).
- **The spec**: `SandboxSpec` refuses mechanisms that amount to three.
- **The check before the first call**: what a container amounts to is read from its evidence; one
  that amounts to three is destroyed, whatever its spec says.

`tests/integration/test_sandbox_eighth.py` shows each, and the next with the one before taken away.

## Tried elsewhere, each with its twin

- **Images** with a hostile entrypoint, health check, volume, loader, library or environment, with
  set-user-id files, file capabilities, devices: `tests/integration/foreign/`.
- **A container that is more than its spec**, in 22 ways, and a tool host with a weaker lock:
  `tests/integration/test_sandbox_verify.py`, `tests/integration/test_sandbox_filters.py`.
- **Vetted programs** that run others, by flags, configuration and plugins; **bombs** of every kind:
  `tests/integration/vetted/`, `tests/integration/test_sandbox_limits*.py`.
- **Forged frames and answers**, from a call's child and over attached input and output:
  `tests/unit/sandbox/test_toolhost_container.py`, `tests/unit/sandbox/test_switchboard.py`.
"""

Cells = Mapping[tuple[str, str], str]


def read() -> dict[tuple[str, str], str]:
    """The cells of the document, by attack and column."""
    cells: dict[tuple[str, str], str] = {}
    for line in DOCUMENT.read_text().splitlines() if DOCUMENT.exists() else ():
        fields = [field.strip() for field in line.strip("|").split("|")]
        if line.startswith("| ") and len(fields) == len(COLUMNS) + 2:
            row = next((row for row in ROWS if row.does == fields[0]), None)
            if row is not None:
                cells |= {
                    (row.name, column): cell
                    for column, cell in zip(COLUMNS, fields[2:], strict=True)
                }
    return cells


def render(cells: Cells) -> str:
    """The document with these cells."""
    parts = [_HEAD]
    for section, rows in groupby(ROWS, key=lambda row: row.section):
        heads = ("attack", "stopped by", *COLUMNS)
        parts.append(f"\n## {section}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
        parts += [_line(row, cells) for row in rows]
    return "".join(parts) + _FOOT


def _line(row: Row, cells: Cells) -> str:
    found = (cells.get((row.name, column), "?") for column in COLUMNS)
    return f"| {' | '.join((row.does, row.wall or '-', *found))} |\n"


def check(column: str, found: Mapping[str, str]) -> None:
    """Hold a column of the document equal to what was found; or write it, where that is asked."""
    cells = read()
    if os.environ.get("TRILEMMA_WRITE_ATTEMPTS"):
        DOCUMENT.write_text(render(cells | {(name, column): f for name, f in found.items()}))
        return
    written = {name: cells.get((name, column), "?") for name in found}
    assert found == written, f"docs/attempts.md says otherwise of {column!r}; run: make attempts"
