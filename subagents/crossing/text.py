"""Text that matches a pattern, as long as it is said."""

from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from .base import Crossing, capped
from .pattern import Node, count, matches, parse
from .scalars import Range

MAX_LENGTH = 512


class TextRange(Range):
    """ASCII only: what looks alike is alike."""

    pattern: str
    max_length: int = Field(ge=1, le=MAX_LENGTH)

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        capped(count(self.parsed, self.max_length))
        return self

    @cached_property
    def parsed(self) -> Node:
        """The pattern, read."""
        return parse(self.pattern, self.max_length)


class Text(Crossing):
    """``{text: {pattern: "[a-z]{1,8}", max_length: 8}}``."""

    text: TextRange

    @property
    def form(self) -> Any:
        """As it is written."""
        return {"text": {"pattern": self.text.pattern, "max_length": self.text.max_length}}

    @property
    def values(self) -> int:
        """An upper bound, see :func:`~trilemma.subagents.crossing.pattern.count`."""
        return count(self.text.parsed, self.text.max_length)

    def json_schema(self) -> dict[str, Any]:
        """A string with its pattern."""
        pattern = f"^(?:{self.text.pattern})$"
        return {"type": "string", "pattern": pattern, "maxLength": self.text.max_length}

    def describe(self) -> str:
        """For people."""
        return f"text of at most {self.text.max_length} characters that fits {self.text.pattern!r}"

    def read_at(self, value: Any, at: str) -> str:
        """Text that fits as a whole."""
        if type(value) is not str or len(value) > self.text.max_length:
            self.refuse(value, at)
        if not matches(self.text.parsed, value):
            self.refuse(value, at)
        return value
