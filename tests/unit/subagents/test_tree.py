"""A tree of agents: its size, and who ends before whom."""

import asyncio
import threading
from contextlib import ExitStack

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import Cancelled, Denied
from trilemma.gateway.lasting import in_thread, to_its_end
from trilemma.subagents.tree import Node, TeamLimits, Tree


def nothing() -> None:
    pass


async def closed(node: Node) -> None:
    """Close it from the loop that runs those below, as a session does."""
    await to_its_end(in_thread(node.close))


def test_depth_width_and_total_are_limits() -> None:
    tree = Tree(TeamLimits(depth=2, width=2, total=4), "lead")
    with tree.enter(tree.root, "a", nothing) as a, tree.enter(a, "b", nothing) as b:
        assert (a.depth, b.depth, tree.total) == (1, 2, 2)
        with pytest.raises(Denied, match="'b' is 2 deep in a team that may be 2 deep") as deep:
            tree.enter(b, "c", nothing).__enter__()
        with tree.enter(tree.root, "c", nothing):
            with pytest.raises(Denied, match="'lead' has 2 sub-agents at work") as wide:
                tree.enter(tree.root, "d", nothing).__enter__()
            assert [child.name for child in tree.root.children] == ["a", "c"]
    with tree.enter(tree.root, "d", nothing):
        pass
    with pytest.raises(Denied, match="has had 4 sub-agents") as many:
        tree.enter(tree.root, "e", nothing).__enter__()
    reasons = [each.value.reasons for each in (deep, wide, many)]
    assert reasons == [("team_depth",), ("team_width",), ("team_total",)]


@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(1, 8),
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=40),
)
def test_no_schedule_grows_a_larger_tree(
    depth: int, width: int, total: int, acts: list[tuple[bool, int]]
) -> None:
    tree = Tree(TeamLimits(depth, width, total))
    open_nodes: list[tuple[Node, ExitStack]] = [(tree.root, ExitStack())]
    for enter, pick in acts:
        node, stack = open_nodes[pick % len(open_nodes)]
        if enter:
            inner = ExitStack()
            try:
                child = inner.enter_context(tree.enter(node, "x", nothing))
            except Denied:
                continue
            open_nodes.append((child, inner))
        elif node is not tree.root and not node.children:
            stack.close()
            open_nodes.remove((node, stack))
        assert tree.total <= total
        for each, _ in open_nodes:
            assert each.depth <= depth
            assert len(each.children) <= width


def test_threads_do_not_get_past_the_limits() -> None:
    tree = Tree(TeamLimits(depth=1, width=3, total=50))
    start, most, entered = threading.Barrier(8), [], []

    def enter() -> None:
        start.wait()
        for _ in range(100):
            try:
                with tree.enter(tree.root, "x", nothing):
                    entered.append(1)
                    most.append(len(tree.root.children))
            except Denied:
                pass

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == 50
    assert max(most) <= 3


async def _work(parent: Node, name: str, everybody: asyncio.Barrier, log: list[str]) -> None:
    """An agent that waits for ever, with two below it down to the third level."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    cancel = task.cancel

    def stop() -> None:
        loop.call_soon_threadsafe(cancel)

    with parent.tree.enter(parent, name, stop) as node:
        below = [_work(node, name + n, everybody, log) for n in "ab" if len(name) < 3]
        try:
            await asyncio.gather(everybody.wait(), *below)
            await asyncio.Event().wait()
        finally:
            await closed(node)
            assert not node.children
            log.append(name)


def test_a_node_ends_after_all_below_it() -> None:
    log: list[str] = []

    async def main() -> None:
        tree, everybody = Tree(TeamLimits()), asyncio.Barrier(8)
        task = asyncio.create_task(_work(tree.root, "x", everybody, log))
        await everybody.wait()
        await closed(tree.root)
        await asyncio.wait([task])
        assert not tree.root.children
        with pytest.raises(Cancelled, match="is ending"):
            tree.enter(tree.root, "late", nothing).__enter__()

    asyncio.run(main())
    assert len(log) == 7
    assert all(log.index(name) < log.index(name[:-1]) for name in log if name != "x")


def test_a_cancelled_close_waits_all_the_same() -> None:
    async def main() -> None:
        tree = Tree(TeamLimits())
        gone = asyncio.Event()

        async def child() -> None:
            with tree.enter(tree.root, "slow", nothing):
                await gone.wait()

        running = asyncio.create_task(child())
        await asyncio.sleep(0)
        closing = asyncio.create_task(closed(tree.root))
        for _ in range(3):
            await asyncio.sleep(0)
            closing.cancel()
        assert not closing.done()
        gone.set()
        await running
        with pytest.raises(asyncio.CancelledError):
            await closing

    asyncio.run(main())


def test_it_can_be_closed_from_a_thread() -> None:
    tree, told, entered = Tree(TeamLimits()), threading.Event(), threading.Event()

    def child() -> None:
        with tree.enter(tree.root, "child", told.set):
            entered.set()
            assert told.wait(10)

    thread = threading.Thread(target=child)
    thread.start()
    assert entered.wait(10)
    tree.root.close()
    assert not tree.root.children
    thread.join()
