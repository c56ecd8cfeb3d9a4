"""Patterns: they mean what everybody thinks, can be counted, and cannot be made slow."""

import itertools
import re
import time

import pytest
from hypothesis import given, settings, strategies as st

from trilemma.errors import SpecError
from trilemma.subagents.crossing.pattern import count, matches, parse

LONGEST = 4
TEXTS = ["".join(text) for n in range(LONGEST + 1) for text in itertools.product("ab1-", repeat=n)]

atoms = st.sampled_from(["a", "b", "1", r"\-", "[ab]", "[a-b1]", "[b-]", r"\d", r"\w", "[-a]"])
quantifiers = st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,}", "{0,2}", "{1,3}"])


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("|".join)
        | st.tuples(inner, quantifiers).map(lambda p: f"({p[0]}){p[1]}")
        | inner.map(lambda p: f"(?:{p})")
    )


patterns = st.recursive(st.tuples(atoms, quantifiers).map("".join), _grow, max_leaves=6)


@settings(max_examples=300, deadline=None)
@given(patterns)
def test_a_pattern_fits_what_pythons_own_expressions_fit_and_is_never_undercounted(
    pattern: str,
) -> None:
    try:
        node = parse(pattern, LONGEST)
    except SpecError:
        return
    expected = [text for text in TEXTS if re.fullmatch(pattern, text, re.ASCII)]
    assert [text for text in TEXTS if matches(node, text)] == expected
    assert count(node, LONGEST) >= len(expected)


REFUSED = [
    *["a(?=b)", "a(?!b)", "(?<=a)b", r"(a)\1", "(?P<n>a)", "(?i)a", "^a", "a$", ".", r"\ba", r"\s"],
    *["[^a]", "[]", "[a", "[b-a]", "a{2", "a{,2}", "a{3,2}", "a{99999}", "(a", "a)", "*a", "a**"],
    *[
        "a+?",
        "a{2}{3}",
        "(a?)*",
        "(a*)+",
        "(|a){2}",
        "\\",
        "ä",
        "a\tb",
        "[\u0430-\u044f]",
        r"\x41",
        r"\u0041",
    ],
    *["{2}", "]", "a" * 600, "(" * 40 + "a" + ")" * 40],
]


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_cannot_be_counted_is_refused_with_its_place(pattern: str) -> None:
    with pytest.raises(SpecError, match="pattern") as refused:
        parse(pattern, 8)
    assert "\n" not in str(refused.value)


HARD = [
    ("(a|a|aa)+b", "a" * 512),
    ("((a|aa){1,}){1,}b", "a" * 512),
    ("(" * 10 + "a" + "+)" * 10 + "b", "a" * 512),
    ("(a|b|ab){0,512}(b|ab|a){0,512}c", "ab" * 256),
    ("(a|(aa|a){2,200}){1,300}b", "a" * 512),
]


@pytest.mark.parametrize(("pattern", "text"), HARD)
def test_no_text_makes_a_match_slow(pattern: str, text: str) -> None:
    node = parse(pattern, 512)
    began = time.perf_counter()
    assert not matches(node, text)
    assert time.perf_counter() - began < 3


def test_counting_is_quick_and_stays_below_all_texts_there_are() -> None:
    node = parse("((([a-z]{1,512}){1,512}){1,512}){1,512}", 512)
    began = time.perf_counter()
    assert count(node, 512) == sum(26**length for length in range(513))
    assert time.perf_counter() - began < 3
