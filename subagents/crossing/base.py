"""What every type of a crossing has: how many values it has, and how it reads one."""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, model_serializer

from trilemma.errors import CrossingError, SpecError

MAX_BITS = 65_536
"""No type may have more: such a crossing is a file transfer, not an answer."""
_LONGEST_VALUE = 80


class Crossing(BaseModel, ABC):
    """Base of all types. A value is read strictly into one canonical form, or refused.

    That is what the capacity stands on: two values that are equal for the receiver are the same
    value, down to the order of a record's fields and the sign of zero.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @property
    @abstractmethod
    def values(self) -> int:
        """How many values there are; never less than there really are. 0 for free text."""

    @property
    def free(self) -> bool:
        """True where text of any kind crosses: it has no capacity and carries labels."""
        return False

    @property
    def bits(self) -> int:
        """The capacity: no value tells the other side more than so many bits."""
        return bits_for(self.values)

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """The type for a model. Reading is stricter than any schema."""

    @abstractmethod
    def describe(self) -> str:
        """The type in a few words, for people."""

    @abstractmethod
    def read_at(self, value: Any, at: str) -> Any:
        """As :meth:`read`, of the part that lies at ``at`` in a larger value."""

    def read(self, value: Any) -> Any:
        """The value in its canonical form, made of JSON values.

        Raises:
            CrossingError: it is not one of the type's values: where, what, and what fits.

        """
        return self.read_at(value, "")

    @property
    def digest(self) -> str:
        """Names the type in the ledger: ``sha256:...``."""
        return digest(self.form)

    @property
    @abstractmethod
    def form(self) -> Any:
        """The type as it is written in YAML, as JSON values."""

    @model_serializer
    def _as_written(self) -> Any:
        return self.form

    def refuse(self, value: Any, at: str) -> NoReturn:
        """Say that the value at ``at`` is none of this type's."""
        raise CrossingError(f"{at or 'the value'}: {show(value)} is not {self.describe()}")


def bits_for(values: int) -> int:
    """The bits that tell so many values apart."""
    return max(0, values - 1).bit_length()


def capped(values: int) -> int:
    """The number, where it is one that a type may have.

    Raises:
        SpecError: it is too large.

    """
    if bits_for(values) > MAX_BITS:
        raise SpecError(f"so many values that one takes more than {MAX_BITS} bits; narrow the type")
    return values


def digest(value: Any) -> str:
    """The hash of JSON values in canonical form."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def show(value: Any) -> str:
    """A value for an error's text, in one short line whatever it is."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of more than 70 digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
