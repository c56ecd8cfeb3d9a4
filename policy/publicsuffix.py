"""Whether the names below a suffix can belong to different owners."""

from functools import cache
from pathlib import Path


def spans_owners(suffix: str) -> bool:
    """True where strangers can own names below ``suffix``: com, co.uk, github.io.

    Also true for a name above such a suffix, such as windows.net.
    """
    if "." not in suffix:
        return True
    rules = _rules()
    if f"!{suffix}" in rules:
        return False
    parent = suffix.partition(".")[2]
    return suffix in rules or f"*.{parent}" in rules or any(r.endswith(f".{suffix}") for r in rules)


@cache
def _rules() -> frozenset[str]:
    import publicsuffixlist

    rules = set()
    path = Path(publicsuffixlist.__file__).with_name("public_suffix_list.dat")
    for line in path.read_text(encoding="utf-8").splitlines():
        rule = line.split(" ")[0].strip().lower()
        if rule and not rule.startswith("//"):
            rules.add(rule if rule.isascii() else rule.encode("idna").decode("ascii"))
    return frozenset(rules)
