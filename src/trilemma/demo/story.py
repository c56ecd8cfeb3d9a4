"""Whose order was obeyed: follows a run's events and tells each call from where it came."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from trilemma.demo.mailbox import Letter, Mailbox
from trilemma.inference.orders import Order, find_orders

_PLACEHOLDER = re.compile(r"\\\{\\\{.*?\\\}\\\}")
READ = "read_mail"
"""The tool that shows a letter to the model."""


@dataclass(frozen=True, slots=True)
class Act:
    """One call of the model, from its wish to its end."""

    name: str
    arguments: str
    letter: Letter | None
    """The letter that ordered it; None where it serves the task."""
    ok: bool
    denied: bool
    reasons: tuple[str, ...]
    text: str
    call: str
    """Its name in the ledger."""


@dataclass(slots=True)
class _Wanted:
    order: Order
    letter: Letter


class Story:
    """Built from events, live ones or ones that were printed as JSON."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.acts: list[Act] = []
        self.mailbox = mailbox
        self._wanted: list[_Wanted] = []
        self._seen: set[Order] = set()
        self._running: dict[str, tuple[str, str, Letter | None]] = {}

    @property
    def ordered(self) -> int:
        """How many orders were read in letters."""
        return len(self._seen)

    @property
    def obeyed(self) -> int:
        """How many of them the model obeyed."""
        return sum(act.letter is not None for act in self.acts)

    def called(self, id: str, name: str, arguments: str) -> None:
        """The model wants something done."""
        self._running[id] = (name, arguments, self._author(name, arguments))

    def ended(
        self,
        id: str,
        *,
        ok: bool,
        text: str,
        denied: bool = False,
        reasons: Iterable[str] = (),
        call: str = "",
    ) -> Act:
        """It was done, it failed, or it was refused."""
        name, arguments, letter = self._running.pop(id)
        act = Act(name, arguments, letter, ok, denied, tuple(reasons), text, call)
        self.acts.append(act)
        self._read(act)
        return act

    def of(self, letter: Letter) -> list[Act]:
        """What was done because of a letter."""
        return [act for act in self.acts if act.letter == letter]

    def _read(self, act: Act) -> None:
        """Note the orders in what a call returned; they are the letter's that led there."""
        letter = act.letter
        if act.name == READ:
            letter = self.mailbox.letter(_argument(act.arguments, "message"))
        if letter is None:
            return
        for order in find_orders(act.text):
            if order not in self._seen:
                self._seen.add(order)
                self._wanted.append(_Wanted(order, letter))

    def _author(self, name: str, arguments: str) -> Letter | None:
        for wanted in self._wanted:
            if wanted.order.tool == name and _fits(wanted.order.arguments, arguments):
                self._wanted.remove(wanted)
                return wanted.letter
        return None


def _fits(template: str, arguments: str) -> bool:
    """Whether these are the ordered arguments, with placeholders filled."""
    ordered, given = json.loads(template), json.loads(arguments)
    if not isinstance(ordered, dict) or not isinstance(given, dict):
        return False
    return ordered.keys() == given.keys() and all(
        _same(value, given[key]) for key, value in ordered.items()
    )


def _same(template: object, value: object) -> bool:
    if not isinstance(template, str) or not isinstance(value, str):
        return template == value
    pattern = _PLACEHOLDER.sub("(?s:.*)", re.escape(template))
    return re.fullmatch(pattern, value) is not None


def _argument(arguments: str, name: str) -> str:
    value = json.loads(arguments).get(name, "")
    return value if isinstance(value, str) else ""
