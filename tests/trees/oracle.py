"""What really flowed where, told from the data alone: it knows no label, grant or ledger.

Every datum is a name such as ``<d7>`` that stands in texts and files. It carries the capabilities
of all that it was made with. A domain holds what it used, and what data that reached it carries.
"""

import re
import threading
from dataclasses import dataclass

_DATUM = re.compile(r"<d[0-9]+>")

Path = frozenset[tuple[int, str]]
"""Numbered steps, in words."""


@dataclass(frozen=True, slots=True)
class Datum:
    """What it carries, and by which steps each capability came into it."""

    carries: dict[str, Path]


class Oracle:
    """Keeps account of powers and data. Safe between threads."""

    def __init__(self, bits: int) -> None:
        """``bits``: so much may be told from domain to domain before it counts as free text."""
        self._lock = threading.RLock()
        self._bits = bits
        self._told = 0
        self._steps = 0
        self._data: dict[str, Datum] = {}
        self._held: dict[str, dict[str, Path]] = {}
        self._names: dict[str, str] = {}

    def held(self, domain: str) -> frozenset[str]:
        """The capabilities that really came together there."""
        with self._lock:
            return frozenset(self._held.get(domain, {}))

    @property
    def domains(self) -> list[str]:
        """All that hold anything."""
        with self._lock:
            return list(self._held)

    def name(self, domain: str) -> str:
        """A short name for people."""
        with self._lock:
            return self._names.setdefault(domain, f"domain {len(self._names) + 1}")

    def uses(self, domain: str, powers: frozenset[str], words: str) -> None:
        """The domain uses powers."""
        with self._lock:
            step = self._step(f"{self.name(domain)} {words}")
            for power in powers - self.held(domain):
                self._held.setdefault(domain, {})[power] = frozenset({step})

    def stranger(self) -> str:
        """A datum that came from the internet."""
        with self._lock:
            step = self._step("strangers write something")
            return self._new({"internet": frozenset({step})})

    def makes(self, domain: str) -> str:
        """A datum that the domain makes of all it has."""
        with self._lock:
            return self._new(dict(self._held.get(domain, {})))

    def arrives(self, domain: str, text: str, words: str) -> None:
        """Text, with all the data in it, reaches the domain."""
        with self._lock:
            names = data_in(text)
            news = {c for name in names for c in self._data[name].carries} - self.held(domain)
            if not news:
                return
            step = self._step(f"{self.name(domain)} {words}")
            for name in names:
                for capability, path in self._data[name].carries.items():
                    if capability in news:
                        mine = self._held.setdefault(domain, {})
                        mine.setdefault(capability, path | {step})

    def told(self, sender: str, receiver: str, bits: int) -> None:
        """A value of a type. With enough of them anything can be said."""
        with self._lock:
            self._told += bits
            if self._told <= self._bits:
                return
            words = f"hears {self._told} bits in all, of {self._bits} that may ever cross"
            self.arrives(receiver, self.makes(sender), f"{words}, from {self.name(sender)}")

    def check(self, domain: str, allowed: frozenset[str]) -> None:
        """Fail where more came together than two, or than is allowed.

        Raises:
            AssertionError: the laundering path, step by step.

        """
        with self._lock:
            held = self._held.get(domain, {})
            if len(held) <= 2 and held.keys() <= allowed:
                return
            steps = sorted(frozenset().union(*held.values()))
            lines = [f"  {number}. {words}" for number, (_, words) in enumerate(steps, 1)]
            what = ", ".join(sorted(held))
        raise AssertionError(
            "\n".join([f"laundering path: {self.name(domain)} has {what}", *lines])
        )

    def _new(self, carries: dict[str, Path]) -> str:
        name = f"<d{len(self._data)}>"
        self._data[name] = Datum(carries)
        return name

    def _step(self, words: str) -> tuple[int, str]:
        self._steps += 1
        return self._steps, words


def data_in(text: str) -> list[str]:
    """The names of all data in a text."""
    return sorted(set(_DATUM.findall(text)))
