"""Text from outside, made safe to show on one line of a terminal or a log."""

_LONGEST = 200


def plain(text: str) -> str:
    """``text`` without line ends, escapes and other invisible characters, and not too long."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
