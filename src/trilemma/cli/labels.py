"""Labels of workspaces and layers: shown, added to, and lessened by a person."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trilemma.cli import ledgers
from trilemma.cli.asking import confirmed, require_terminal
from trilemma.cli.failure import Exit, Stop
from trilemma.cli.phrases import counted
from trilemma.gateway.ledger.events import Recorded
from trilemma.gateway.principal import current_principal
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.changes import printable
from trilemma.gateway.workspaces.contents import Named
from trilemma.gateway.workspaces.labelling import Labelled, Labelling
from trilemma.gateway.workspaces.layers import Layer
from trilemma.policy.capability import CapabilitySet, parse, show

_SHORTEST_HASH = 12


def label(name: str, add: Sequence[str]) -> None:
    """Show a label and the events that made it; ``add`` joins into it first."""
    with _labelling() as acts:
        subject = acts.find(name)
        if add:
            acts.add(subject, parse(add), current_principal())
            subject = acts.find(name)
        print(f"{_title(subject)}  label {show(subject.label)}{'  open' if subject.open else ''}")
        for cause in subject.causes:
            print(f"  {_cause(cause, subject.id)}")


def declassify(name: str, remove: Sequence[str], yes: str) -> None:
    """Take something out of a label, for the files that a person was shown."""
    with _labelling() as acts:
        subject = acts.find(name)
        removes = parse(remove)
        if not removes <= subject.label:
            carries = f"{subject.id} carries {show(subject.label)}"
            raise Stop(f"{carries}; {show(removes - subject.label)} is not in it", Exit.USAGE)
        shown = acts.contents(subject)
        if yes:
            _require_same(shown, yes, subject)
        else:
            _ask(subject, removes, shown)
        acts.declassify(subject, removes, shown, current_principal())
        left = acts.find(name).label
    print(f"{subject.id} carries {show(left)} from now on; your name and its files are recorded")


@contextmanager
def _labelling() -> Iterator[Labelling]:
    settings = Settings.from_environment()
    own = (settings.state, settings.config, settings.runtime)
    with ledgers.opened(settings) as ledger:
        yield Labelling(ledger, settings.layers, own)


def _ask(subject: Labelled, removes: CapabilitySet, shown: Named) -> None:
    without = f"--yes {shown.digest.removeprefix('sha256:')[:16]}"
    for path, word in shown.files.items():
        print(f"{word}  {path}")
    sys.stdout.flush()
    require_terminal(without)
    entries = counted(len(shown.files), "entry", "entries")
    question = f"Do you answer for these {entries}, that they carry no {show(removes)}?"
    if not confirmed(question, without=without):
        raise Stop("nothing was declassified")


def _require_same(shown: Named, wanted: str, subject: Labelled) -> None:
    given = wanted.removeprefix("sha256:")
    if len(given) < _SHORTEST_HASH:
        raise Stop(f"--yes takes the hash that was printed, not {wanted!r}", Exit.USAGE)
    if not shown.digest.removeprefix("sha256:").startswith(given):
        raise Stop(
            f"{subject.id} is not what {wanted!r} names any more; nothing was declassified. "
            "Look again, without --yes"
        )


def _title(subject: Labelled) -> str:
    where = subject.where
    if isinstance(where, Layer):
        return f"{where.id} of {printable(where.folder)}"
    return f"{printable(str(where.path))}  {subject.id}"


def _cause(cause: Recorded, name: str) -> str:
    event = cause.event
    sign, moved = ("-", event.drops) if name in event.drops else ("+", event.joins)
    who = event.session or event.principal
    return f"{sign} {show(moved[name])}  event {cause.seq}  {cause.at}  {event.kind}  by {who}"
