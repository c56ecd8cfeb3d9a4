"""What a result shows of itself in text: a placeholder, replaced when the text becomes a task.

A placeholder is unguessable and means something in this process alone. So a result that a caller
pastes into a string loses nothing: whoever takes the string as a task finds the result again.
"""

import re
import secrets
import threading
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from trilemma.errors import SpecError

KEPT = 4096
"""Results that are remembered, the latest used: as many placeholders still mean something."""
KEPT_CHARACTERS = 64 * 1024 * 1024
"""Of their texts together; the latest is kept however long it is."""

_PREFIX = "trilemma_result_"
_DIGITS = 32
# In any case, and pieces too: what a caller's code made of a placeholder is noticed.
_PLACEHOLDER = re.compile(rf"{_PREFIX}[0-9a-f]{{8,{_DIGITS}}}", re.IGNORECASE)


def fresh() -> str:
    """A new placeholder: 128 bits of chance, in letters that no quoting or encoding changes."""
    return _PREFIX + secrets.token_hex(_DIGITS // 2)


class Worded(Protocol):
    """Something with a text."""

    @property
    def text(self) -> str:
        """The text that its placeholder stands for."""
        ...


R = TypeVar("R", bound=Worded)


class Remembered(Generic[R]):
    """Results by their placeholders, as many as there is room for. Safe between threads."""

    def __init__(self, most: int = KEPT, characters: int = KEPT_CHARACTERS) -> None:
        self._most = most
        self._characters = characters
        self._held = 0
        self._results: OrderedDict[str, R] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, placeholder: str, result: R) -> None:
        """Remember a result, and forget the one that was not used for longest."""
        with self._lock:
            if placeholder not in self._results:
                self._held += len(result.text)
            self._results[placeholder] = result
            self._results.move_to_end(placeholder)
            while len(self._results) > 1 and (
                len(self._results) > self._most or self._held > self._characters
            ):
                self._held -= len(self._results.popitem(last=False)[1].text)

    def find(self, placeholder: str) -> R:
        """The result that a placeholder stands for.

        Raises:
            SpecError: it is not known here.
        """
        with self._lock:
            result = self._results.get(placeholder)
        if result is None:
            raise SpecError(
                f"{placeholder!r} stands for a result that is not known here: it was made in "
                f"another process or changed on the way, or more than {self._most} newer ones "
                "were used since; hand over the Result itself"
            )
        return result

    def split(self, text: str) -> list[str | R]:
        """A caller's text, cut at its placeholders, with the results in their places.

        Raises:
            SpecError: a placeholder in it is not known here.
        """
        parts: list[str | R] = []
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            parts += [text[end : found.start()], self.find(found.group())]
            end = found.end()
        return [*parts, text[end:]]
