"""HTML as text to read: no scripts, no styles, links with their addresses."""

import re
from html.parser import HTMLParser

# Compiled once in the tool host, not in each call's child.
_BLANKS = re.compile(r"[ \t\r\f\v]+")
_GAPS = re.compile(r"\n{3,}")

_DROPPED = frozenset({"script", "style", "noscript", "template", "svg"})
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main"),
        *("nav", "ol", "p", "pre", "section", "table", "tr", "ul", "title"),
    )
)


def html_to_text(html: str) -> str:
    """The text of a page, line by line."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = "".join(reader.pieces)
    lines = [_BLANKS.sub(" ", line).strip() for line in text.split("\n")]
    return _GAPS.sub("\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._dropped = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._dropped += 1
        elif tag in _BLOCKS:
            self.pieces.append("\n- " if tag == "li" else "\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href") or "")
        elif tag == "img" and (alt := dict(attrs).get("alt")):
            self.pieces.append(alt)

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._dropped = max(0, self._dropped - 1)
        elif tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag in ("td", "th"):
            self.pieces.append("  ")
        elif tag == "a" and self._links and (address := self._links.pop()):
            self.pieces.append(f" ({address})")

    def handle_data(self, data: str) -> None:
        if not self._dropped:
            self.pieces.append(data)
