"""Regular expressions of which one can say how many texts they match.

A subset of what everybody writes: characters, classes, groups, alternatives, repeats. It has no
memory and no looking around, so a match follows sets of positions through the expression: the
time is bounded by its size and the text's length, whatever the text.
"""

import string
from dataclasses import dataclass
from typing import NoReturn

from trilemma.errors import SpecError

PRINTABLE = frozenset(chr(code) for code in range(0x20, 0x7F))
MAX_PATTERN = 512
_MAX_DEPTH = 16
_SETS = {
    "d": frozenset(string.digits),
    "w": frozenset(string.ascii_letters + string.digits + "_"),
}
_SPECIAL = frozenset("\\[](){}|?*+.^$")


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set."""

    allowed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same part again and again."""

    part: "Node"
    least: int
    most: int


Node = Characters | Sequence | Choice | Repeat


def parse(pattern: str, max_length: int) -> Node:
    """Read a pattern for texts of at most ``max_length`` characters.

    Raises:
        SpecError: it uses something that cannot be counted, or nothing of that length fits it.

    """
    if len(pattern) > MAX_PATTERN:
        raise SpecError(f"pattern is longer than {MAX_PATTERN} characters")
    node = _Parser(pattern, max_length).whole()
    if shortest(node) > max_length:
        raise SpecError(
            f"pattern {pattern!r} fits no text of at most {max_length} characters; "
            "raise max_length or shorten the pattern"
        )
    return node


def shortest(node: Node) -> int:
    """The length of the shortest text that fits."""
    match node:
        case Characters():
            return 1
        case Sequence(parts):
            return sum(map(shortest, parts))
        case Choice(options):
            return min(map(shortest, options))
        case Repeat(part, least, _):
            return least * shortest(part)


def count(node: Node, max_length: int) -> int:
    """How many texts of at most ``max_length`` characters fit: an upper bound.

    A text that fits in two ways is counted twice. No part of a match has more texts than there
    are texts at all, so every step is cut there.
    """
    letters = len(_alphabet(node))
    every = sum(letters**length for length in range(max_length + 1))
    return _count(node, every)


def matches(node: Node, text: str) -> bool:
    """True where the whole text fits."""
    return len(text) in _ends(node, text, frozenset({0}))


def _count(node: Node, every: int) -> int:
    match node:
        case Characters(allowed):
            return min(len(allowed), every)
        case Sequence(parts):
            product = 1
            for part in parts:
                product = min(product * _count(part, every), every)
            return product
        case Choice(options):
            return min(sum(_count(option, every) for option in options), every)
        case Repeat(part, least, most):
            return _count_repeats(_count(part, every), least, most, every)


def _count_repeats(each: int, least: int, most: int, every: int) -> int:
    total, of_length = 0, 1
    for times in range(most + 1):
        total += of_length if times >= least else 0
        of_length = min(of_length * each, every)
        if total >= every:
            return every
    return total


def _alphabet(node: Node) -> frozenset[str]:
    match node:
        case Characters(allowed):
            return allowed
        case Sequence(parts) | Choice(parts):
            return frozenset().union(*map(_alphabet, parts))
        case Repeat(part):
            return _alphabet(part)


def _ends(node: Node, text: str, starts: frozenset[int]) -> frozenset[int]:
    """Where a match of the node can end that begins at one of ``starts``."""
    match node:
        case Characters(allowed):
            return frozenset(i + 1 for i in starts if i < len(text) and text[i] in allowed)
        case Sequence(parts):
            for part in parts:
                starts = _ends(part, text, starts) if starts else starts
            return starts
        case Choice(options):
            return frozenset().union(*(_ends(option, text, starts) for option in options))
        case Repeat(part, least, most):
            return _ends_of_repeat(part, least, most, text, starts)


def _ends_of_repeat(
    part: Node, least: int, most: int, text: str, starts: frozenset[int]
) -> frozenset[int]:
    for _ in range(least):
        if not starts:
            return starts
        starts = _ends(part, text, starts)
    found = starts
    # A position that was reached with fewer repeats has every way on that it has later.
    for _ in range(most - least):
        starts = _ends(part, text, starts) - found
        if not starts:
            break
        found |= starts
    return found


class _Parser:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str, max_length: int) -> None:
        self._pattern = pattern
        self._longest = max_length
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        """The pattern to its end."""
        node = self._choice()
        if self._at < len(self._pattern):
            self._refuse("a ')' that nothing opens")
        return node

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._next not in ("", "|", ")"):
            parts.append(self._repeats(self._one()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _one(self) -> Node:
        if self._take("("):
            return self._group()
        if self._take("["):
            return Characters(self._class())
        character = self._character(_SPECIAL)
        return Characters(character if isinstance(character, frozenset) else frozenset(character))

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"groups are nested deeper than {_MAX_DEPTH}")
        if self._take("?") and not self._take(":"):
            self._refuse("'(?' means looking around or a name; only plain groups can be counted")
        node = self._choice()
        if not self._take(")"):
            self._refuse("a ')' is missing")
        self._depth -= 1
        return node

    def _class(self) -> frozenset[str]:
        if self._next == "^":
            self._refuse("a class that says what is not in it; write what is")
        found: frozenset[str] = frozenset()
        while not self._take("]"):
            first = self._character(frozenset("[\\^"))
            if isinstance(first, frozenset):
                found |= first
            elif self._next == "-" and self._pattern[self._at + 1 : self._at + 2] != "]":
                found |= self._range(first)
            else:
                found |= {first}
        if not found:
            self._refuse("an empty class")
        return found

    def _range(self, first: str) -> frozenset[str]:
        self._take("-")
        last = self._character(frozenset("[\\^"))
        if isinstance(last, frozenset) or last < first:
            self._refuse("a range that goes nowhere")
        return frozenset(chr(code) for code in range(ord(first), ord(last) + 1))

    def _character(self, special: frozenset[str]) -> str | frozenset[str]:
        """One character that stands for itself, or the set that an escape stands for."""
        character = self._next
        if character not in PRINTABLE:
            self._refuse("it ends too early" if not character else "only printable ASCII fits")
        self._at += 1
        if character == "\\":
            return self._escaped()
        if character in special:
            self._at -= 1
            self._refuse(
                "cannot be counted; say which characters, and leave out ^ and $: "
                "the whole text must fit"
            )
        return character

    def _escaped(self) -> str | frozenset[str]:
        character = self._next
        self._at += 1
        if character in _SETS:
            return _SETS[character]
        if character.isalnum() or character not in PRINTABLE:
            self._refuse("this escape cannot be counted; \\d, \\w and escaped signs can")
        return character

    def _repeats(self, node: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        least, most = bounds
        if least > most:
            self._refuse("a repeat that ends before it begins")
        if shortest(node) == 0:
            self._refuse("what is repeated can be empty")
        if self._next and self._next in "?*+{":
            self._refuse("a repeat of a repeat; put the inner one in a group")
        # What is longer never fits, so no more repeats are ever of use.
        return Repeat(node, least, min(most, max(self._longest, least)))

    def _bounds(self) -> tuple[int, int] | None:
        if self._take("?"):
            return 0, 1
        if self._take("*"):
            return 0, self._longest
        if self._take("+"):
            return 1, max(1, self._longest)
        if not self._take("{"):
            return None
        least = self._digits()
        most = least
        if self._take(","):
            most = max(self._longest, least) if self._next == "}" else self._digits()
        if not self._take("}"):
            self._refuse("a repeat is written {2}, {2,} or {2,5}")
        return least, most

    def _digits(self) -> int:
        end = self._at
        while self._pattern[end : end + 1] in tuple(string.digits):
            end += 1
        text, self._at = self._pattern[self._at : end], end
        if not 1 <= len(text) <= 4:
            self._refuse("a repeat is written {2}, {2,} or {2,5}")
        return int(text)

    @property
    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        taken = self._next == character
        self._at += taken
        return taken

    def _refuse(self, why: str) -> NoReturn:
        raise SpecError(f"pattern {self._pattern!r} at character {self._at + 1}: {why}")
