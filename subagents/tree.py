"""The tree of running agents: how large it may grow, and that no child outlives its parent."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from trilemma.errors import Cancelled, Denied


@dataclass(frozen=True, slots=True)
class TeamLimits:
    """How large a tree may grow."""

    depth: int = 3
    """Children of children; 0 lets nobody have any."""
    width: int = 16
    """Children that one agent has at work at once."""
    total: int = 256
    """Children that the tree has in all, those that have ended among them."""


class Node:
    """One running agent of a tree. Its own session ends only after those of its children."""

    def __init__(
        self, tree: "Tree", name: str, parent: "Node | None", stop: Callable[[], None]
    ) -> None:
        self.tree = tree
        self.name = name
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.stop = stop
        """Asks it to end, from any thread, and does not wait."""
        self.ended: Future[None] = Future()
        self._children: dict[int, Node] = {}
        self._closed = False

    @property
    def children(self) -> "tuple[Node, ...]":
        """Those that run now."""
        with self.tree.lock:
            return tuple(self._children.values())

    def close(self) -> None:
        """Let nobody in any more, end the children that are there, and wait until they are gone.

        Blocking, in a thread that runs none of them.
        """
        for child in self._end_children():
            child.ended.result()

    def _end_children(self) -> "tuple[Node, ...]":
        with self.tree.lock:
            self._closed = True
        children = self.children
        for child in children:
            child.stop()
        return children


class Tree:
    """One root and everybody below it. Safe to use from several threads."""

    def __init__(
        self, limits: TeamLimits, name: str = "agent", stop: Callable[[], None] = lambda: None
    ) -> None:
        self.limits = limits
        self.lock = threading.Lock()
        self.total = 0
        """Children that there ever were."""
        self.root = Node(self, name, None, stop)

    @contextmanager
    def enter(self, parent: Node, name: str, stop: Callable[[], None]) -> Iterator[Node]:
        """A new child of ``parent``, for as long as the context lasts.

        ``stop`` asks it to end; who holds the context leaves it when the child is really gone.

        Raises:
            Denied: the tree is as deep, as wide or as large as it may be.
            Cancelled: the parent is ending.
        """
        child = Node(self, name, parent, stop)
        with self.lock:
            self._see_room(parent)
            self.total += 1
            parent._children[id(child)] = child
        try:
            yield child
        finally:
            # Whoever is still below cannot be waited for in here; nobody may be.
            child._end_children()
            with self.lock:
                del parent._children[id(child)]
            child.ended.set_result(None)

    def _see_room(self, parent: Node) -> None:
        if any(node._closed for node in _upwards(parent)):
            raise Cancelled(f"{parent.name!r} is ending and calls nobody any more")
        limits = self.limits
        if parent.depth >= limits.depth:
            raise Denied(
                f"{parent.name!r} is {parent.depth} deep in a team that may be {limits.depth} "
                "deep, so it calls nobody; let its parent call instead, or raise "
                "'team: {depth: ...}' of the agent at the top",
                reasons=("team_depth",),
            )
        if len(parent._children) >= limits.width:
            raise Denied(
                f"{parent.name!r} has {limits.width} sub-agents at work, as many as it may have "
                "at once; wait for one of them, or raise 'team: {width: ...}' of the agent at "
                "the top",
                reasons=("team_width",),
            )
        if self.total >= limits.total:
            raise Denied(
                f"this team has had {limits.total} sub-agents, as many as it may have in all; "
                "go on without another, or raise 'team: {total: ...}' of the agent at the top",
                reasons=("team_total",),
            )


def _upwards(node: Node) -> Iterator[Node]:
    current: Node | None = node
    while current is not None:
        yield current
        current = current.parent
