"""The list of attacks (``rows.txt``), and the source that is shipped for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trilemma.policy.capability import Capability, CapabilitySet

_FOLDER = Path(__file__).parent
_PARTS = ("prelude", "internet", "files", "code", "others", "walls", "trying")
_FUNCTIONS = {
    "read_secret": "read_file",
    "read_above": "read_file",
    "read_link": "read_file",
    "open_node": "open_fifo",
    "write_folder": "write_file",
}
"""Rows that are another's function with another argument."""


@dataclass(frozen=True)
class Row:
    """One attack."""

    section: str
    name: str
    argument: str
    granted: str
    """Who may do it: ``code``, ``tunnel``, ``files``, ``programs``, ``all``; else nobody.

    ``rare`` is what not every kernel has; nobody may.
    """
    does: str
    wall: str
    twin: str

    @property
    def function(self) -> str:
        """The function that does it."""
        return _FUNCTIONS.get(self.name, self.name)

    def allowed(self, profile: CapabilitySet) -> bool:
        """Whether a sandbox of this profile may do it."""
        code, files = Capability.CODE in profile, Capability.FILES in profile
        granted = {
            "all": True,
            "code": code,
            "files": files,
            "programs": code and files,
            "tunnel": code and Capability.INTERNET in profile,
        }
        return granted.get(self.granted, False)


def source() -> str:
    """The attacks as one file, which is how they are shipped."""
    lines = (line for part in _PARTS for line in (_FOLDER / f"{part}.py").read_text().splitlines())
    return "\n".join(line for line in lines if not line.startswith("from tests.")) + "\n"


def _read() -> Iterator[Row]:
    section = ""
    for line in (_FOLDER / "rows.txt").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            yield Row(section, *(field.strip() for field in line.split("|")))


ROWS = tuple(_read())
