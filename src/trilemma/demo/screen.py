"""Where the demo is shown: the terminal, and a recording of it for the picture."""

import io
import re
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

WIDTH = 100

_FETCHED = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts that the picture would have its viewer fetch from elsewhere."""

_THEME = TerminalTheme(
    (16, 20, 27),
    (208, 214, 222),
    [
        (52, 60, 72),
        (255, 107, 107),
        (126, 211, 138),
        (240, 190, 95),
        (110, 168, 254),
        (201, 143, 240),
        (97, 208, 214),
        (208, 214, 222),
    ],
    [
        (120, 130, 145),
        (255, 133, 133),
        (156, 230, 166),
        (250, 210, 130),
        (140, 188, 255),
        (218, 170, 250),
        (130, 225, 230),
        (255, 255, 255),
    ],
)


class Screen:
    """Prints to the terminal and to the recording alike."""

    def __init__(self) -> None:
        self.terminal = Console(highlight=False)
        self._recording = Console(
            file=io.StringIO(), record=True, width=WIDTH, highlight=False, force_terminal=True
        )

    def show(self, what: RenderableType = "") -> None:
        """Print something."""
        self.terminal.print(what)
        self._recording.print(what)

    def say(self, what: RenderableType) -> None:
        """Print something that is no part of the picture."""
        self.terminal.print(what)

    def save(self, path: Path) -> None:
        """Write the picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = self._recording.export_svg(title="trilemma demo", theme=_THEME)
        path.write_text(_FETCHED.sub("", picture), encoding="utf-8")


def plain(text: str, longest: int) -> str:
    """Foreign text on one line: nothing in it is obeyed by a terminal, and it is cut."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
