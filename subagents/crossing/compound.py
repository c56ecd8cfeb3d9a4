"""Types made of types, and how any type is read from what a person wrote."""

from typing import Annotated, Any, Self, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from trilemma.errors import SpecError

from ...policy.mistakes import mistakes
from .base import MAX_BITS, Crossing, capped, show
from .scalars import Bool, Date, DecimalNumber, Enum, Free, Identifier, Integer, Range
from .text import Text

MAX_FIELDS = 64
MAX_ITEMS = 1024
_LIST = list
"""Below, the word means a field."""

FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]


class Record(Crossing):
    """``{record: {found: bool, price: {integer: {...}}}}``: a value for each name."""

    record: "Annotated[dict[FieldName, CrossingType], Field(min_length=1, max_length=MAX_FIELDS)]"

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        capped(self.values)
        return self

    @property
    def values(self) -> int:
        """Every combination."""
        product = 1
        for member in self.record.values():
            product = capped(product * member.values)
        return product

    @property
    def free(self) -> bool:
        """One free member makes all of it free."""
        return any(member.free for member in self.record.values())

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"record": {name: member.form for name, member in self.record.items()}}

    def json_schema(self) -> dict[str, Any]:
        """An object with these members only."""
        members = {name: member.json_schema() for name, member in self.record.items()}
        required = [n for n, member in self.record.items() if not isinstance(member, OptionalValue)]
        return {
            "type": "object",
            "properties": members,
            "required": required,
            "additionalProperties": False,
        }

    def describe(self) -> str:
        """For people."""
        members = (f"{name}: {member.describe()}" for name, member in self.record.items())
        return f"a record of ({'; '.join(members)})"

    def read_at(self, value: Any, at: str) -> dict[str, Any]:
        """All members in the order of the type, none besides; an optional one may be missing."""
        if type(value) is not dict or not value.keys() <= self.record.keys():
            self.refuse(value, at)
        return {
            name: self._member(name, value, f"{at}.{name}".removeprefix("."))
            for name in self.record
        }

    def _member(self, name: str, value: dict[str, Any], at: str) -> Any:
        member = self.record[name]
        if name not in value and not isinstance(member, OptionalValue):
            self.refuse(value, at)
        return member.read_at(value.get(name), at)


class OptionalValue(Crossing):
    """``{optional: TYPE}``: a value, or none."""

    optional: "CrossingType"

    @model_validator(mode="after")
    def _means_one_thing(self) -> Self:
        if isinstance(self.optional, OptionalValue):
            raise ValueError("an optional of an optional; write one of them")
        capped(self.values)
        return self

    @property
    def values(self) -> int:
        """One more."""
        return 0 if self.free else self.optional.values + 1

    @property
    def free(self) -> bool:
        """As what it holds."""
        return self.optional.free

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"optional": self.optional.form}

    def json_schema(self) -> dict[str, Any]:
        """The type or null."""
        return {"anyOf": [self.optional.json_schema(), {"type": "null"}]}

    def describe(self) -> str:
        """For people."""
        return f"{self.optional.describe()}, or null"

    def read_at(self, value: Any, at: str) -> Any:
        """None itself is none; whatever else must fit."""
        return None if value is None else self.optional.read_at(value, at)


class ListRange(Range):
    """From no item up to ``max_items``."""

    of: "CrossingType"
    max_items: int = Field(ge=1, le=MAX_ITEMS)


class ListOf(Crossing):
    """``{list: {of: TYPE, max_items: 5}}``: values in an order that counts."""

    list: ListRange

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        # Refused before such a number is ever made.
        if (self.list.of.bits - 1) * self.list.max_items > MAX_BITS:
            raise ValueError(f"a full list takes more than {MAX_BITS} bits; narrow the type")
        capped(self.values)
        return self

    @property
    def values(self) -> int:
        """The lists of every length."""
        if self.free:
            return 0
        total, of_length = 0, 1
        for _ in range(self.list.max_items + 1):
            total, of_length = total + of_length, of_length * self.list.of.values
        return total

    @property
    def free(self) -> bool:
        """As its items."""
        return self.list.of.free

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"list": {"of": self.list.of.form, "max_items": self.list.max_items}}

    def json_schema(self) -> dict[str, Any]:
        """An array."""
        items = {"items": self.list.of.json_schema(), "maxItems": self.list.max_items}
        return {"type": "array", **items}

    def describe(self) -> str:
        """For people."""
        return f"a list of at most {self.list.max_items}, each {self.list.of.describe()}"

    def read_at(self, value: Any, at: str) -> Any:
        """Every item, in its place."""
        if type(value) is not _LIST or len(value) > self.list.max_items:
            self.refuse(value, at)
        return [self.list.of.read_at(item, f"{at}[{i}]") for i, item in enumerate(value)]


_WORDS: dict[str, type[Bool | Free]] = {kind.word: kind for kind in (Bool, Free)}
_FORMS: dict[str, type[Crossing]] = {
    "enum": Enum,
    "identifier": Identifier,
    "integer": Integer,
    "decimal": DecimalNumber,
    "date": Date,
    "text": Text,
    "record": Record,
    "optional": OptionalValue,
    "list": ListOf,
}


def read_form(written: Any) -> Crossing:
    """A type from the way it is written; a type that is one already stays as it is.

    Raises:
        SpecError: it is none.

    """
    if isinstance(written, Crossing):
        return written
    if type(written) is str and written in _WORDS:
        return _WORDS[written]()
    form = next(iter(written)) if isinstance(written, dict) and len(written) == 1 else None
    if type(form) is not str or form not in _FORMS:
        known = ", ".join((*_WORDS, *(f"{{{name}: ...}}" for name in _FORMS)))
        raise SpecError(f"{show(written)} is not a type of a crossing; write one of {known}")
    try:
        return _FORMS[form].model_validate(written)
    except ValidationError as error:
        raise SpecError("; ".join(m.text for m in mistakes(error, _FORMS[form]))) from None


CrossingType: TypeAlias = Annotated[
    Bool
    | Enum
    | Identifier
    | Integer
    | DecimalNumber
    | Date
    | Text
    | Record
    | OptionalValue
    | ListOf
    | Free,
    BeforeValidator(read_form),
]
"""A member of a pydantic model that is written in any of the forms."""

for _made_of_types in (Record, OptionalValue, ListRange, ListOf):
    _made_of_types.model_rebuild()


def crossing_type(data: Any, origin: str) -> CrossingType:
    """The type that ``data``, as strict YAML gives it, stands for.

    Raises:
        SpecError: it stands for none; the text begins with ``origin``.

    """
    try:
        return read_form(data)  # type: ignore[return-value]  # of a closed set of classes
    except SpecError as error:
        raise SpecError(f"{origin}: {error}") from None
