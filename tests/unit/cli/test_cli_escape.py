"""Nothing that models, tools or files say is obeyed by a terminal."""

import pytest
from hypothesis import given, strategies as st

from trilemma.cli.escape import block, line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb", "a\\rb"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\ufeffx", "\\ufeffx"),
        ("\udcff", "\\udcff"),
        ("zwei\u00a0Wörter, 三", "zwei Wörter, 三"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert line(text) == shown


def test_a_line_stays_one_line_and_keeps_its_length() -> None:
    assert line("one\ntwo") == "one⏎two"
    assert line("abcdef", 4) == "abc…"


def test_a_block_keeps_its_line_ends_only() -> None:
    assert block("one\n\ttwo\x07") == "one\n        two\\x07"


@given(st.text())
def test_whatever_is_shown_is_printable(text: str) -> None:
    assert line(text).isprintable()
    assert block(text).replace("\n", "").isprintable()
