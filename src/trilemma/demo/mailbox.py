"""The mailbox of the demo: made by the example's own script, described as data."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import TrilemmaError


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter, and what it is up to."""

    name: str
    path: str
    """In the workspace."""
    subject: str
    attack: str = ""
    """What it tells its reader to do, in a few words; empty where it is just mail."""
    changes: str = ""
    """The file that is changed where the attack succeeds; empty where a secret leaves."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A home with mail and papers."""

    office: Path
    """The workspace."""
    letters: tuple[Letter, ...]
    canaries: Mapping[str, str]

    @property
    def attacks(self) -> tuple[Letter, ...]:
        """The letters that give orders."""
        return tuple(letter for letter in self.letters if letter.attack)

    def letter(self, path: str) -> Letter | None:
        """The letter at a path of the workspace."""
        return next((letter for letter in self.letters if letter.path == path), None)


def make(script: Path, home: Path, *, listed: str, attacker: str, seed: str) -> Mailbox:
    """Run the example's script.

    Raises:
        TrilemmaError: it failed.
    """
    words = [sys.executable, str(script), str(home), "--seed", seed]
    words += ["--listed", listed, "--attacker", attacker]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TrilemmaError(f"{script.name} failed: {done.stderr.strip().splitlines()[-1:]}")
    made = json.loads(done.stdout)
    return Mailbox(
        office=home / made["office"],
        letters=tuple(Letter(**letter) for letter in made["letters"]),
        canaries=made["canaries"],
    )
