"""Sessions as the trees that they are: who called whom."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from trilemma.cli.escape import line
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger

T = TypeVar("T")


def place(body: Mapping[str, Any]) -> str:
    """Where a session stands, from the body of its ``session.opened``; empty for a root."""
    if not body.get("parent"):
        return ""
    return f"{line(str(body['mode']))} {body['depth']} below {line(str(body['tree']))}"


def sessions_of(ledger: Ledger, tree: str) -> frozenset[str]:
    """Every session of the tree whose root this is, the root itself among them."""
    opened = ledger.events(kind=Kind.SESSION_OPENED)
    return frozenset({tree}) | {
        found.event.session for found in opened if found.event.body.get("tree") == tree
    }


def in_order(
    nodes: Iterable[T], name: Callable[[T], str], parent: Callable[[T], str | None]
) -> list[tuple[T, int]]:
    """Parents before their children, with how deep each stands among those that are there."""
    known = {name(node): node for node in nodes}
    below: dict[str | None, list[T]] = {}
    for node in known.values():
        above = parent(node)
        below.setdefault(above if above in known else None, []).append(node)
    ordered: list[tuple[T, int]] = []
    waiting = [(node, 0) for node in reversed(below.get(None, []))]
    while waiting:
        node, depth = waiting.pop()
        ordered.append((node, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(name(node), []))]
    return ordered
