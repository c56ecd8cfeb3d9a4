"""A session's calls wait for each other; nobody else waits for them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from trilemma.errors import SandboxError
from trilemma.gateway.callqueue import CallQueue


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    workers = ThreadPoolExecutor(8)
    yield workers
    workers.shutdown()


def test_one_that_makes_very_many_calls_leaves_threads_to_others(
    workers: ThreadPoolExecutor,
) -> None:
    go_on = threading.Event()
    greedy: CallQueue[bool] = CallQueue(workers, 3)
    modest: CallQueue[bool] = CallQueue(workers, 3)
    many = [greedy.submit(go_on.wait) for _ in range(50)]
    try:
        assert modest.submit(lambda: True).result(10)
        assert sum(future.running() for future in many) <= 3
    finally:
        go_on.set()
    assert all(future.result(10) for future in many)


def test_sabotage_with_threads_for_all_of_them_others_wait(workers: ThreadPoolExecutor) -> None:
    go_on = threading.Event()
    greedy: CallQueue[bool] = CallQueue(workers, 50)
    many = [greedy.submit(go_on.wait) for _ in range(50)]
    waiting = CallQueue[bool](workers, 3).submit(lambda: True)
    try:
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
    finally:
        go_on.set()
    assert all(future.result(10) for future in [*many, waiting])


def test_calls_begin_in_the_order_in_which_they_came(workers: ThreadPoolExecutor) -> None:
    began: list[int] = []
    queue: CallQueue[None] = CallQueue(workers, 1)
    futures = [queue.submit(partial(began.append, number)) for number in range(20)]
    for future in futures:
        future.result(10)
    assert began == list(range(20))


def test_what_fails_lets_the_next_one_go(workers: ThreadPoolExecutor) -> None:
    queue: CallQueue[float] = CallQueue(workers, 1)
    failing, next_one = queue.submit(lambda: 1 / 0), queue.submit(lambda: 1.0)
    with pytest.raises(ZeroDivisionError):
        failing.result(10)
    assert next_one.result(10) == 1.0


def test_what_waits_when_the_gateway_closes_is_refused(workers: ThreadPoolExecutor) -> None:
    go_on = threading.Event()
    queue: CallQueue[bool] = CallQueue(workers, 1)
    first, second = queue.submit(go_on.wait), queue.submit(lambda: True)
    workers.shutdown(wait=False)
    go_on.set()
    assert first.result(10)
    with pytest.raises(SandboxError, match="closed"):
        second.result(10)
