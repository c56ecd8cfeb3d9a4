"""What the pages say of the code is there: every file, and every name that a link is called by."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.attacks import document
from tests.integration.attacks.rows import ROWS

from trilemma.sandbox.verify import CHECKS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "ARCHITECTURE.md"]
LINK = re.compile(r"\[([^\]]*)\]\(([^)#:]+)\)")


def links(page: Path) -> list[tuple[str, Path]]:
    return [(name, page.parent / path) for name, path in LINK.findall(page.read_text())]


def defined(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    """Every name that a file defines: functions, classes and what is in them, constants."""
    for node in getattr(tree, "body", ()):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield f"{prefix}{node.name}"
            case ast.ClassDef():
                yield f"{prefix}{node.name}"
                yield from defined(node, f"{prefix}{node.name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield f"{prefix}{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_link_leads_to_what_it_names(page: Path) -> None:
    for text, target in links(page):
        assert target.exists(), f"{page.name}: {target}"
        if target.suffix == ".py":
            assert text.strip("`") in set(defined(ast.parse(target.read_text()))), (text, target)


def test_the_page_about_the_sandbox_shows_the_list_that_is_checked() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", (ROOT / "docs" / "sandbox.md").read_text(), re.M)
    assert [row for row in rows if row in [(c.what, str(c.witness)) for c in CHECKS]] == [
        (check.what, str(check.witness)) for check in CHECKS
    ]


def test_the_table_of_attempts_is_whole_and_as_it_is_written() -> None:
    cells = document.read()
    assert cells.keys() == {(row.name, column) for row in ROWS for column in document.COLUMNS}
    assert document.render(cells) == document.DOCUMENT.read_text()


def test_the_tests_that_the_table_names_are_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", document.DOCUMENT.read_text())
    assert named
    assert [pattern for pattern in named if not list(ROOT.glob(pattern.rstrip("/")))] == []
