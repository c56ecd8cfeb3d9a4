"""Types of one value: words, numbers in a range, dates."""

import datetime
import math
import re
from collections import Counter
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from .base import Crossing, show

LARGEST = 2**53 - 1
"""Whole numbers up to here are the same number to every reader of JSON."""
MOST_WORDS = 4096
_MOST_STEPS = 10**15
FREE_LENGTH = 1_000_000
_SHOWN = 8
_WORD = r"^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$"
_IDENTIFIER = r"^[A-Za-z0-9_][A-Za-z0-9_./:@+-]{0,127}$"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Range(BaseModel):
    """Base of what stands below ``integer``, ``decimal`` and ``date``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Bool(Crossing):
    """``bool``: true or false."""

    word: ClassVar[str] = "bool"

    @property
    def form(self) -> Any:
        """As it is written."""
        return self.word

    @property
    def values(self) -> int:
        """Two."""
        return 2

    def json_schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}

    def describe(self) -> str:
        """For people."""
        return "true or false"

    def read_at(self, value: Any, at: str) -> bool:
        """True or False themselves, not what counts as such."""
        if type(value) is not bool:
            self.refuse(value, at)
        return value


class Free(Crossing):
    """``free``: any text. It has no capacity; it carries the sender's label instead."""

    word: ClassVar[str] = "free"

    @property
    def form(self) -> Any:
        """As it is written."""
        return self.word

    @property
    def values(self) -> int:
        """Not counted."""
        return 0

    @property
    def free(self) -> bool:
        """It is what makes a crossing a free one."""
        return True

    def json_schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string"}

    def describe(self) -> str:
        """For people."""
        return "free text, which carries labels"

    def read_at(self, value: Any, at: str) -> str:
        """Text that every reader reads alike."""
        if type(value) is not str or len(value) > FREE_LENGTH or _broken(value):
            self.refuse(value, at)
        return value


class _Words(Crossing):
    """One of a closed list. The list is matched exactly: no case, no look-alikes."""

    @property
    def words(self) -> tuple[str, ...]:
        """The list."""
        raise NotImplementedError

    @property
    def values(self) -> int:
        """As many as there are words."""
        return len(self.words)

    def json_schema(self) -> dict[str, Any]:
        """An enum of strings."""
        return {"type": "string", "enum": list(self.words)}

    def describe(self) -> str:
        """For people."""
        words = self.words
        more = f", ... ({len(words)} in all)" if len(words) > _SHOWN else ""
        return f"one of {', '.join(map(repr, words[:_SHOWN]))}{more}"

    def read_at(self, value: Any, at: str) -> str:
        """The very word."""
        if type(value) is not str or value not in self.words:
            self.refuse(value, at)
        return value


def _distinct(words: tuple[str, ...]) -> tuple[str, ...]:
    for word, times in Counter(words).items():
        if times > 1:
            raise ValueError(f"{word!r} is there twice; remove one of the two")
    return words


class Enum(_Words):
    """``{enum: [a, b]}``: one of a few words of printable ASCII."""

    enum: Annotated[
        tuple[Annotated[str, Field(pattern=_WORD)], ...],
        Field(strict=False, min_length=1, max_length=256),
    ]
    _no_doubles = field_validator("enum")(_distinct)

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"enum": list(self.enum)}

    @property
    def words(self) -> tuple[str, ...]:
        """The words."""
        return self.enum


class Identifier(_Words):
    """``{identifier: [doc-1, doc-2]}``: one name out of a closed list."""

    identifier: Annotated[
        tuple[Annotated[str, Field(pattern=_IDENTIFIER)], ...],
        Field(strict=False, min_length=1, max_length=MOST_WORDS),
    ]
    _no_doubles = field_validator("identifier")(_distinct)

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"identifier": list(self.identifier)}

    @property
    def words(self) -> tuple[str, ...]:
        """The names."""
        return self.identifier


Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]


class IntegerRange(Range):
    """Both ends belong to it."""

    minimum: Whole
    maximum: Whole

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class Integer(Crossing):
    """``{integer: {minimum: 0, maximum: 10}}``."""

    integer: IntegerRange

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"integer": {"minimum": self.integer.minimum, "maximum": self.integer.maximum}}

    @property
    def values(self) -> int:
        """Every whole number of the range."""
        return self.integer.maximum - self.integer.minimum + 1

    def json_schema(self) -> dict[str, Any]:
        """An integer with its ends."""
        ends = {"minimum": self.integer.minimum, "maximum": self.integer.maximum}
        return {"type": "integer", **ends}

    def describe(self) -> str:
        """For people."""
        return f"a whole number from {self.integer.minimum} to {self.integer.maximum}"

    def read_at(self, value: Any, at: str) -> int:
        """A whole number that is written as one: neither 3.0 nor true."""
        if type(value) is not int or not self.integer.minimum <= value <= self.integer.maximum:
            self.refuse(value, at)
        return value


def _as_decimal(value: Any) -> Any:
    """As it is written: 0.1 is a tenth, whatever the nearest binary fraction is."""
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return Decimal(repr(value))
    if type(value) is str:
        raise ValueError(f"must be a number, not {show(value)}")
    return value


Bound = Annotated[Decimal, BeforeValidator(_as_decimal), Field(ge=-LARGEST, le=LARGEST)]


class DecimalRange(Range):
    """Both ends belong to it; ``places`` digits stand behind the point."""

    minimum: Bound
    maximum: Bound
    places: int = Field(ge=0, le=9)

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        for name, end in (("minimum", self.minimum), ("maximum", self.maximum)):
            steps = end.scaleb(self.places)
            if steps != steps.to_integral_value():
                raise ValueError(f"{name} {end} has more than {self.places} places")
            if abs(steps) > _MOST_STEPS:
                raise ValueError(f"{name} {end} with {self.places} places has too many digits")
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class DecimalNumber(Crossing):
    """``{decimal: {minimum: 0, maximum: 1, places: 2}}``."""

    decimal: DecimalRange

    @property
    def values(self) -> int:
        """Every number of the range with so many places."""
        span = (self.decimal.maximum - self.decimal.minimum).scaleb(self.decimal.places)
        return int(span) + 1

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"decimal": {**self._ends(), "places": self.decimal.places}}

    def json_schema(self) -> dict[str, Any]:
        """A number with its ends; its places are told in words."""
        return {"type": "number", **self._ends(), "description": self.describe()}

    def describe(self) -> str:
        """For people."""
        low, high = self.decimal.minimum, self.decimal.maximum
        return f"a number from {low} to {high} with at most {self.decimal.places} decimal places"

    def read_at(self, value: Any, at: str) -> float:
        """The nearest float of one of the numbers; 1 and 1.0 are one value, 0 has no sign."""
        number = _number(value)
        low, high = self.decimal.minimum, self.decimal.maximum
        if number is None or not low <= number <= high:
            self.refuse(value, at)
        steps = number.scaleb(self.decimal.places)
        if steps != steps.to_integral_value():
            self.refuse(value, at)
        return float(number) + 0.0

    def _ends(self) -> dict[str, float]:
        return {"minimum": float(self.decimal.minimum), "maximum": float(self.decimal.maximum)}


def _number(value: Any) -> Decimal | None:
    if type(value) is int and abs(value) <= LARGEST:
        return Decimal(value)
    if type(value) is float and math.isfinite(value):
        return Decimal(repr(value))
    return None


def _read_date(text: Any) -> datetime.date:
    if type(text) is datetime.date:
        return text
    if type(text) is not str or not _DATE.fullmatch(text):
        raise ValueError(f"{show(text)} is not a date such as 2026-01-31")
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{show(text)} is not a day of any calendar") from None


Day = Annotated[datetime.date, BeforeValidator(_read_date)]


class DateRange(Range):
    """Both days belong to it."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"from {self.first} is after to {self.last}")
        return self


class Date(Crossing):
    """``{date: {from: 2026-01-01, to: 2026-12-31}}``."""

    date: DateRange

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"date": {"from": str(self.date.first), "to": str(self.date.last)}}

    @property
    def values(self) -> int:
        """Every day of the range."""
        return (self.date.last - self.date.first).days + 1

    def json_schema(self) -> dict[str, Any]:
        """A string in the form of a date."""
        return {"type": "string", "format": "date", "description": self.describe()}

    def describe(self) -> str:
        """For people."""
        return f"a day from {self.date.first} to {self.date.last}, written like 2026-01-31"

    def read_at(self, value: Any, at: str) -> str:
        """A day in the one form that ISO 8601 calls extended."""
        try:
            day = _read_date(value) if type(value) is str else None
        except ValueError:
            day = None
        if day is None or not self.date.first <= day <= self.date.last:
            self.refuse(value, at)
        return day.isoformat()


def _broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
