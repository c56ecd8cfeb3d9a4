"""The layers that wait for a person: list, look, apply, discard."""

import json as jsonlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from trilemma.cli import ledgers
from trilemma.cli.asking import confirmed, require_terminal
from trilemma.cli.escape import line
from trilemma.cli.failure import Exit, Stop
from trilemma.cli.phrases import counted
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.principal import current_principal
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.changes import Changes, printable
from trilemma.gateway.workspaces.layers import Layer
from trilemma.gateway.workspaces.review import Review, WorkspaceRow
from trilemma.policy.capability import ordered, show

_SHORTEST_HASH = 12


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the commands below ``trilemma workspace`` do."""

    ledger: Ledger
    review: Review

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Self]:
        """With the ledger of this user.

        Raises:
            Stop: nothing was ever recorded.
        """
        settings = Settings.from_environment()
        with ledgers.opened(settings) as ledger:
            yield cls(ledger, Review(ledger, settings.layers))

    def list_all(self, *, json: bool) -> None:
        """Every workspace with its layers."""
        for row in self.review.workspaces():
            if json:
                print(jsonlib.dumps(_row_object(row)))
                continue
            state = "  open" if row.open else ""
            print(f"{printable(str(row.path))}  label {show(row.label)}{state}")
            for layer in row.layers:
                print(f"  {self._layer_line(layer)}")

    def diff(self, name: str, only: Sequence[str], *, content: bool) -> None:
        """What applying would do, and the command that does it."""
        layer = self.review.find(name)
        changes = self._changes(layer, only)
        print(self.review.render(changes, content=content), end="")
        if not changes:
            return
        words = "".join(f" --only {_quoted(pattern)}" for pattern in only)
        print(f"\napply: trilemma workspace apply {layer.id}{words} --yes {_short(changes)}")
        print(f"throw away: trilemma workspace discard {layer.id}")

    def apply(self, name: str, only: Sequence[str], yes: str) -> None:
        """Apply what was seen: after a yes at the terminal, or the hash of what was seen."""
        layer = self.review.find(name)
        changes = self._changes(layer, only)
        if not changes:
            raise Stop(f"there is nothing to apply in layer {layer.id!r}")
        if yes:
            _require_same(changes, yes, layer)
        else:
            self._ask_to_apply(changes)
        applied = self.review.apply(changes, current_principal())
        print(
            f"applied {counted(len(applied.changes), 'change')} to {printable(str(changes.folder))}"
        )
        for left in applied.left:
            print(f"  ! {printable(left.path)}  ({left.why})", file=sys.stderr)
        if applied.left:
            raise Stop(f"{len(applied.left)} of the changes could not be applied; the layer stays")

    def _ask_to_apply(self, changes: Changes) -> None:
        without = f"--yes {_short(changes)}"
        require_terminal(without)
        print(self.review.render(changes), end="", flush=True)
        where = printable(str(changes.folder))
        question = f"Apply {counted(len(changes.changes), 'change')} to {where}?"
        if not confirmed(question, without=without):
            raise Stop("nothing was applied")

    def discard(self, name: str, *, yes: bool) -> None:
        """Throw a layer away, after a yes."""
        layer = self.review.find(name)
        if not yes:
            question = f"Throw away layer {layer.id} of {printable(layer.folder)}?"
            if not confirmed(question, without="--yes"):
                raise Stop("nothing was thrown away")
        self.review.discard(layer, current_principal())
        print(f"layer {layer.id} is gone")

    def _changes(self, layer: Layer, only: Sequence[str]) -> Changes:
        changes = self.review.diff(layer)
        if not only:
            return changes
        picked = changes.only(lambda c: any(fnmatchcase(c.path, glob) for glob in only))
        if not picked:
            raise Stop(f"no change matches {', '.join(map(repr, only))}")
        return picked

    def _layer_line(self, layer: Layer) -> str:
        label = self.ledger.label(layer.id)
        carries = "unknown to this ledger" if label is None else f"label {show(label)}"
        kib = (layer.size() + 1023) // 1024
        return f"{layer.id}  {carries}  {kib:,} KiB  of {line(layer.session)}"


def _require_same(changes: Changes, wanted: str, layer: Layer) -> None:
    given = wanted.removeprefix("sha256:")
    if len(given) < _SHORTEST_HASH:
        raise Stop(f"--yes takes the hash that 'diff' printed, not {wanted!r}", Exit.USAGE)
    if not changes.digest.removeprefix("sha256:").startswith(given):
        raise Stop(
            f"layer {layer.id} is not what {wanted!r} names any more; nothing was applied. "
            f"Look again: trilemma workspace diff {layer.id}"
        )


def _short(changes: Changes) -> str:
    return changes.digest.removeprefix("sha256:")[:16]


def _quoted(pattern: str) -> str:
    return "'" + pattern.replace("'", "'\\''") + "'"


def _row_object(row: WorkspaceRow) -> dict[str, object]:
    return {
        "workspace": row.workspace,
        "path": printable(str(row.path)),
        "label": [str(capability) for capability in ordered(row.label)],
        "seen": row.seen,
        "open": row.open,
        "layers": [layer.id for layer in row.layers],
    }
