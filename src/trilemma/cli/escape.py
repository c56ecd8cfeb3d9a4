r"""Text from models, tools and files, made safe to show: nothing in it is obeyed by a terminal.

Control characters, escape sequences, characters that turn the direction of writing and other
invisible ones are shown as their escapes, such as ``\x1b`` or ``\u202e``.
"""

import unicodedata

_TAB_STOP = 8


def line(text: str, longest: int = 0) -> str:
    """The text on one line, cut at ``longest`` characters where that is not 0."""
    shown = "".join(_shown(character) for character in text.replace("\n", "⏎"))
    if longest and len(shown) > longest:
        return shown[: longest - 1] + "…"
    return shown


def block(text: str) -> str:
    """The text with its line ends."""
    return "\n".join(line(part.expandtabs(_TAB_STOP)) for part in text.split("\n"))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()
