"""What an agent is asked: text, results, or lists and records of these, with their labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trilemma.errors import SpecError
from trilemma.gateway.specparts import Frozen
from trilemma.policy.capability import NONE, CapabilitySet
from trilemma.result import REMEMBERED, Result

Scalar = str | int | float | bool | None | Result
Part = Scalar | Sequence["Part"] | Mapping[str, "Part"]
"""What may lie in a list or a record."""
Task = str | Result | Sequence[Part] | Mapping[str, Part]
"""What may be handed to ``run``, ``arun`` and ``stream``."""

_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Rendered:
    """A task as a model reads it, and what it may carry."""

    text: str
    labels: CapabilitySet


def render(task: Task) -> Rendered:
    """The text of a task, with the labels of all results that are in it, in whatever form.

    A list or a record becomes JSON, so that no text in it can pass for another part of it. A
    placeholder becomes the text of its result, once: what stands in that text stays as it is.

    Raises:
        SpecError: it holds something else, or a placeholder that is not known here.
    """
    rendering = _Rendering()
    if isinstance(task, str | Result):
        text = rendering.text(task)
    elif isinstance(task, Mapping) or _is_list(task):
        text = json.dumps(rendering.part(task), ensure_ascii=False, indent=2)
    else:
        raise _wrong(task)
    return Rendered(text, rendering.labels)


@dataclass(frozen=True, slots=True)
class Filled:
    """A value with the texts of results in their places, and what it may carry."""

    value: Any
    labels: CapabilitySet


def fill(value: Any) -> Filled:
    """A value for a typed question: text, numbers, lists and records, with their labels.

    Raises:
        SpecError: it holds something else, or a placeholder that is not known here.
    """
    rendering = _Rendering()
    return Filled(rendering.part(value), rendering.labels)


def refuse_results(spec: Frozen) -> None:
    """Refuse an agent into whose texts a result was pasted: nothing there is put in its place.

    Raises:
        SpecError: one was.
    """
    if len(REMEMBERED.split(spec.model_dump_json())) > 1:
        raise SpecError("an agent holds no result; results go into a task, where their labels join")


class _Rendering:
    """Collects the labels on the way."""

    def __init__(self) -> None:
        self.labels: CapabilitySet = NONE

    def text(self, value: str | Result) -> str:
        parts = REMEMBERED.split(value) if isinstance(value, str) else [value]
        return "".join(map(self._piece, parts))

    def part(self, value: Any, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            raise SpecError(f"a task is nested deeper than {_DEEPEST} lists and records")
        if isinstance(value, str | Result):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return self._record(value, depth + 1)
        if _is_list(value):
            return [self.part(item, depth + 1) for item in value]
        raise _wrong(value)

    def _piece(self, piece: str | Result) -> str:
        if isinstance(piece, str):
            return piece
        self.labels |= piece.labels
        return piece.text

    def _record(self, record: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        rendered = {self._key(name): self.part(value, depth) for name, value in record.items()}
        if len(rendered) < len(record):
            raise SpecError("two names in a record are the same text")
        return rendered

    def _key(self, key: object) -> str:
        if not isinstance(key, str | Result):
            raise SpecError(f"the names in a record are text, not {key!r}")
        return self.text(key)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview)


def _wrong(value: object) -> SpecError:
    return SpecError(
        "a task is text, a Result, or lists and records of these, not "
        f"{type(value).__name__!r}; say what it is as text"
    )
