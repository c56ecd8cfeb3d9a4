"""What a carried layer says beside its files: what is deleted, and what could not be brought back.

The overlay file system writes a deletion as a device node, which takes root to make, or as an
attribute, which not every file system holds. A list beside the files needs neither, and no sandbox
ever sees it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from trilemma.errors import WorkspaceError

from .tree import wire

WHOLE = "."
"""The path of the workspace itself: all that was changed last is lost."""

_FILE = "carried.json"


@dataclass(frozen=True, slots=True)
class Record:
    """The list of one layer."""

    gone: tuple[str, ...] = ()
    """Entries of the folder that are deleted, each with all that lies below it."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Changes that are not in the layer, and why."""

    @classmethod
    def load(cls, layer: Path) -> Self:
        """The list of the layer in that directory; an empty one where nothing was carried.

        Raises:
            WorkspaceError: there is one, and it cannot be read.
        """
        try:
            body: dict[str, Any] = json.loads((layer / _FILE).read_text(encoding="ascii"))
            lost = {_path(path): str(why) for path, why in body["lost"].items()}
            return cls(tuple(map(_path, body["gone"])), lost)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WorkspaceError(f"layer {layer.name!r} cannot be read: {error}") from None

    def save(self, layer: Path) -> None:
        """Put it on disk, whole or not at all."""
        body = {
            "gone": [wire(path) for path in self.gone],
            "lost": {wire(path): why for path, why in self.lost.items()},
        }
        fresh = layer / f"{_FILE}.new"
        with open(fresh, "w", encoding="ascii") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, layer / _FILE)


def _path(text: str) -> str:
    return os.fsdecode(text.encode("latin-1"))
