"""The one strict YAML reader: what a person wrote means one thing, or is refused."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from trilemma.errors import SpecError

from .mistakes import mistakes

MAX_TEXT = 1024 * 1024
MAX_DEPTH = 32

M = TypeVar("M", bound=BaseModel)

# Plain scalars are read as YAML 1.2 reads them, less what a hasty eye misreads.
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}(?:[eE][-+]?[0-9]{1,2})?")
_OLD_BOOLEANS = frozenset({"yes", "no", "on", "off"})


Places = Mapping[tuple[str | int, ...], tuple[int, int]]
"""Line and column, from 1 up, of every key and item, by the path that leads to it."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a person wrote, and where."""

    value: Any
    places: Places


def read_yaml_file(path: Path) -> Any:
    """Read a file of strict YAML.

    Raises:
        SpecError: it cannot be read, or :func:`read_yaml` refuses it.

    """
    return read_document_file(path).value


def read_document_file(path: Path) -> Document:
    """Read a file of strict YAML, and where everything in it stands.

    Raises:
        SpecError: as :func:`read_yaml_file`.

    """
    try:
        with path.open("rb") as file:
            raw = file.read(4 * MAX_TEXT + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise SpecError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text at byte {error.start}") from None
    return read_document(text, str(path))


def read_yaml(text: str, origin: str) -> Any:
    """Read one document of plain mappings, lists, text, numbers, true, false and null.

    Raises:
        SpecError: anything in it is ambiguous, repeated, tagged or shared. The text starts
            with ``origin:line:column``.

    """
    return read_document(text, origin).value


def read_document(text: str, origin: str) -> Document:
    """Read one document, and where everything in it stands.

    Raises:
        SpecError: as :func:`read_yaml`.

    """
    if len(text) > MAX_TEXT:
        raise SpecError(f"{origin}: longer than {MAX_TEXT} characters")
    _refuse_tabs(text, origin)
    try:
        reader = _Reader(yaml.parse(text, Loader=yaml.SafeLoader), origin)
        return Document(reader.document(), reader.places)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise SpecError(f"{origin}{where}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{origin}: not YAML: {' '.join(str(error).split())}") from None


def validate(model: type[M], data: Any, origin: str, places: Places | None = None) -> M:
    """Make ``model`` of what :func:`read_yaml` returned, without converting types.

    With ``places`` each mistake says its line and column.

    Raises:
        SpecError: one line for each mistake: the place, the value and the way on.

    """
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        found = mistakes(error, model)
        lines = [f"{origin}{_at(m.location, places)}: {m.text}" for m in found]
        raise SpecError("\n".join(lines)) from None


def _at(location: tuple[str | int, ...], places: Places | None) -> str:
    """``:line:column`` of the nearest thing that stands in the file."""
    # A location also names the kinds that a value was tried as: those stand in no file.
    written: tuple[str | int, ...] = ()
    for step in location:
        if places and (*written, step) in places:
            written = (*written, step)
    if not places or not written:
        return ""
    line, column = places[written]
    return f":{line}:{column}"


class _Reader:
    """Builds values straight from the parser's events: no tags, no objects, no sharing."""

    def __init__(self, events: Iterator[Event], origin: str) -> None:
        self._events = events
        self._origin = origin
        self._depth = 0
        self._path: tuple[str | int, ...] = ()
        self.places: dict[tuple[str | int, ...], tuple[int, int]] = {}

    def document(self) -> Any:
        next(self._events)  # the start of the stream
        start = next(self._events)
        if not isinstance(start, DocumentStartEvent):
            self._refuse(start, "the file is empty")
        if start.version or start.tags:
            self._refuse(start, "directives are refused; remove the line that starts with %")
        value = self._value(next(self._events))
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            self._refuse(after, "a second document; one file holds one document")
        return value

    def _value(self, event: Event) -> Any:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(event, "anchors and aliases are refused; write the value out")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tags are refused; remove what starts with !")
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH}")
        value = self._mapping() if isinstance(event, MappingStartEvent) else self._list(event)
        self._depth -= 1
        return value

    def _list(self, event: Event) -> list[Any]:
        if not isinstance(event, SequenceStartEvent):
            self._refuse(event, "expected a value")
        items: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._placed(len(items), event, event))
        return items

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._value(event)
            if not isinstance(key, str):
                self._refuse(event, f"a key must be text, not {key!r}; quote it")
            if key == "<<":
                self._refuse(event, "merge keys are refused; write the fields out")
            if key in found:
                self._refuse(event, f"duplicate key {key!r}; remove one of the two")
            found[key] = self._placed(key, event, next(self._events))
        return found

    def _placed(self, step: str | int, where: Event, event: Event) -> Any:
        """The value below a key or an item, and where that stands."""
        outer = self._path
        self._path = (*outer, step)
        if where.start_mark is not None:
            self.places[self._path] = (where.start_mark.line + 1, where.start_mark.column + 1)
        value = self._value(event)
        self._path = outer
        return value

    def _scalar(self, event: ScalarEvent) -> Any:
        text = event.value
        if any("\ud800" <= c <= "\udfff" for c in text):
            self._refuse(event, "half a character (a lone surrogate)")
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text.lower() in _OLD_BOOLEANS:
            self._refuse(
                event, f'{text!r} is ambiguous; write true or false, or quote it: "{text}"'
            )
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _DECIMAL.fullmatch(text) else text

    def _refuse(self, event: Event, why: str) -> NoReturn:
        mark = event.start_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise SpecError(f"{self._origin}{where}: {why}")


def _refuse_tabs(text: str, origin: str) -> None:
    at = text.find("\t")
    if at < 0:
        return
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    raise SpecError(f'{origin}:{line}:{column}: a tab; use spaces, or "\\t" inside double quotes')
