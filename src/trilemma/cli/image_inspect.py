"""What an image holds and brings along, for people and for programs."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from trilemma.cli.escape import line
from trilemma.cli.phrases import counted
from trilemma.sandbox import images

_WIDTH = 14


def inspect(name: str, *, as_json: bool) -> None:
    """Print what there is to say about an image.

    Raises:
        ImageMissing: it is not on this machine.
    """
    found = images.examine(name)
    if as_json:
        print(json.dumps(_object(found)))
        return
    for what, text in _rows(found):
        print(f"{what:{_WIDTH}}{line(text)}")


def _object(found: images.Examined) -> dict[str, Any]:
    return {
        "image": found.id,
        "usable": not found.unusable,
        "reasons": list(found.unusable),
        **asdict(found.contents),
        "replaced": dict(found.replaced),
        "variables": list(found.brought.variables),
        "ports": list(found.brought.ports),
    }


def _rows(found: images.Examined) -> Iterator[tuple[str, str]]:
    held = found.contents
    yield "image", found.id
    yield "usable", "no" if found.unusable else "yes"
    for reason in found.unusable:
        yield "", reason
    yield "programs", str(held.programs)
    for what in ("shells", "interpreters", "compilers", "setuid", "capabilities", "devices"):
        yield what, _listed(getattr(held, what))
    for field, value in found.replaced.items():
        yield "replaced", f"{field} {json.dumps(value)}"
    if found.brought.variables:
        count = counted(len(found.brought.variables), "variable")
        yield "taken out", f"{count}: {', '.join(found.brought.variables)}"


def _listed(paths: tuple[str, ...]) -> str:
    return ", ".join(paths) or "none"
