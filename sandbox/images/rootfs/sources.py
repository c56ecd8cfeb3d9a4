"""Where this machine gets Debian packages from: read from apt's own configuration.

Mirrors, proxies, certificates and keys stay as the administrator set them; sources of anybody
but Debian are left out, so that only Debian's packages can get into an image.
"""

import re
from pathlib import Path

from trilemma.errors import SandboxError

from .recipe import RELEASE

_SUFFIXES = ("", "-updates", "-security")
_ONE_LINE = re.compile(r"deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)")


def debian_sources(etc: Path = Path("/etc/apt")) -> str:
    """The host's Debian sources for our release, as the text of a ``.sources`` file."""
    known = ("stable", RELEASE, _codename(etc.parent / "os-release"))
    stanzas = [_stanza(line, known) for line in _lines(etc)]
    stanzas += [_narrowed(text, known) for text in _deb822(etc)]
    found = sorted({stanza for stanza in stanzas if stanza})
    if not found:
        raise SandboxError(f"apt in {str(etc)!r} names no Debian source with component 'main'")
    return "\n".join(found)


def _codename(path: Path) -> str:
    text = path.read_text() if path.exists() else ""
    match = re.search(r"^VERSION_CODENAME=(\w+)", text, re.MULTILINE)
    return match[1] if match else RELEASE


def _lines(etc: Path) -> list[str]:
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    texts = [file.read_text() for file in files if file.is_file()]
    return [line.split("#")[0].strip() for text in texts for line in text.splitlines()]


def _deb822(etc: Path) -> list[str]:
    texts = [file.read_text() for file in sorted((etc / "sources.list.d").glob("*.sources"))]
    return [stanza for text in texts for stanza in re.split(r"\n\s*\n", text)]


def _stanza(line: str, known: tuple[str, ...]) -> str:
    """A one-line source in the newer form; empty when it is none of Debian's."""
    match = _ONE_LINE.fullmatch(line)
    if not match or "main" not in match[4].split():
        return ""
    suite = _suite(match[3], known)
    key = re.search(r"signed-by=([^\s\]]+)", match[1] or "")
    return _render(match[2], suite, key[1] if key else "") if suite else ""


def _narrowed(text: str, known: tuple[str, ...]) -> str:
    fields = _fields(text)
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
        return ""
    suites = [_suite(suite, known) for suite in fields.get("suites", "").split()]
    if not any(suites) or "main" not in fields.get("components", "").split():
        return ""
    return _render(fields["uris"], " ".join(filter(None, suites)), fields.get("signed-by", ""))


def _fields(text: str) -> dict[str, str]:
    """One stanza; a field's folded lines (an inline key) stay as they are."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[0].isspace():
            fields[name] += "\n" + line
            continue
        name, _, value = line.partition(":")
        name = name.lower()
        fields[name] = value.strip()
    return fields


def _suite(suite: str, known: tuple[str, ...]) -> str:
    for suffix in _SUFFIXES:
        if suite in {name + suffix for name in known}:
            return RELEASE + suffix
    return ""


def _render(uris: str, suites: str, signed_by: str) -> str:
    key = f"Signed-By: {signed_by}\n" if signed_by else ""
    return f"Types: deb\nURIs: {uris}\nSuites: {suites}\nComponents: main\n{key}"
