"""The latch as it is meant: one thing after the other, in plain words, without the ledger."""

from dataclasses import dataclass, replace
from typing import Literal

Verb = Literal["take", "open", "close", "join", "held", "label"]
Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that one session does."""

    verb: Verb
    domain: str = ""
    session: str = ""
    workspace: str = ""
    names: Names = frozenset()
    """What is taken, or joined into the label."""
    write: bool = False

    def __str__(self) -> str:
        parts = [self.verb, self.domain, self.workspace, "+".join(sorted(self.names))]
        return " ".join(part for part in [*parts, "for writing" if self.write else ""] if part)


@dataclass(frozen=True, slots=True)
class Latch:
    """What two domains hold, what workspaces carry, and who has them open."""

    held: frozenset[tuple[str, str]] = frozenset()
    labels: frozenset[tuple[str, str]] = frozenset()
    opened: frozenset[tuple[str, str, str, bool]] = frozenset()
    """Workspace, domain, session, for writing."""
    grants: frozenset[tuple[str, Names]] = frozenset()


def step(latch: Latch, act: Act) -> tuple[Latch, str]:
    """The latch after an act, and its answer."""
    match act.verb:
        case "held":
            return latch, _show(_of(latch.held, act.domain))
        case "label":
            return latch, _show(_of(latch.labels, act.workspace))
        case "join":
            return _join(latch, act.workspace, act.names), "done"
        case "close":
            mine = (act.workspace, act.session)
            left = frozenset(o for o in latch.opened if (o[0], o[2]) != mine)
            return replace(latch, opened=left), "done"
        case "take":
            return _take(latch, act.domain, act.names)
        case "open":
            return _open(latch, act)


def _take(latch: Latch, domain: str, names: Names) -> tuple[Latch, str]:
    after = _of(latch.held, domain) | names
    granted = dict(latch.grants).get(domain)
    if len(after) > 2 or (granted is not None and not after <= granted):
        return latch, "denied"
    latch = replace(latch, held=latch.held | {(domain, name) for name in names})
    for workspace, owner, _, write in latch.opened:
        if owner == domain and write:
            latch = _join(latch, workspace, after)
    return latch, "allowed"


def _open(latch: Latch, act: Act) -> tuple[Latch, str]:
    after, answer = _take(latch, act.domain, act.names | _of(latch.labels, act.workspace))
    if answer == "denied":
        return latch, answer
    for workspace, owner, _, write in latch.opened:
        if workspace == act.workspace and owner != act.domain and (write or act.write):
            return latch, "in use"
    mine = (act.workspace, act.domain, act.session)
    write = act.write or (*mine, True) in latch.opened
    after = replace(after, opened=latch.opened - {(*mine, False)} | {(*mine, write)})
    if act.write:
        granted = dict(latch.grants).get(act.domain, frozenset())
        after = _join(after, act.workspace, _of(after.held, act.domain) | granted)
    return after, "allowed"


def _join(latch: Latch, workspace: str, names: Names) -> Latch:
    return replace(latch, labels=latch.labels | {(workspace, name) for name in names})


def _of(pairs: frozenset[tuple[str, str]], owner: str) -> Names:
    return frozenset(name for whose, name in pairs if whose == owner)


def _show(names: Names) -> str:
    return "+".join(sorted(names)) or "nothing"
