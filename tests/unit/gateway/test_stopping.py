"""Ending a session from outside, without swallowing a cancellation by its caller."""

import asyncio
import threading
from pathlib import Path

import pytest

from trilemma.errors import Cancelled, SandboxError
from trilemma.gateway.stopping import Stopping
from trilemma.gateway.stops import StopWatch, request_stop

SESSION = "ses_0123456789abcdef"


async def _act(stopping: Stopping, started: asyncio.Event) -> None:
    with stopping.acting():
        started.set()
        await asyncio.Event().wait()


def test_a_running_act_ends_with_our_error() -> None:
    async def scenario() -> None:
        stopping, started = Stopping(), asyncio.Event()
        task = asyncio.create_task(_act(stopping, started))
        await started.wait()
        await asyncio.to_thread(stopping.ask)
        with pytest.raises(Cancelled, match=r"^the session was stopped$"):
            await task
        assert not task.cancelling()

    asyncio.run(scenario())


def test_the_next_act_is_refused() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        stopping.ask()
        with pytest.raises(Cancelled), stopping.acting():
            pytest.fail("it ran")

    asyncio.run(scenario())


def test_a_cancellation_by_the_caller_stays_one() -> None:
    async def scenario() -> None:
        stopping, started = Stopping(), asyncio.Event()
        task = asyncio.create_task(_act(stopping, started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_both_at_once_is_a_cancellation() -> None:
    async def scenario() -> None:
        stopping, started = Stopping(), asyncio.Event()
        task = asyncio.create_task(_act(stopping, started))
        await started.wait()
        stopping.ask()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_an_act_that_is_over_is_not_cancelled_later() -> None:
    async def scenario() -> None:
        stopping = Stopping()
        with stopping.acting():
            stopping.ask()
        # The request arrives in the loop only now, when the act has ended.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_request_reaches_the_session_that_it_names(tmp_path: Path) -> None:
    stopped: list[str] = []
    seen = threading.Event()

    def stop(session: str) -> bool:
        stopped.append(session)
        seen.set()
        return True

    watch = StopWatch(tmp_path, stop)
    try:
        (tmp_path / "stops" / "../stops/not-a-session").touch()
        request_stop(tmp_path, SESSION)
        assert seen.wait(10)
    finally:
        watch.close()
    assert set(stopped) == {SESSION}
    assert not (tmp_path / "stops" / SESSION).exists()


def test_a_gateway_that_is_gone_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="trilemma clean"):
        request_stop(tmp_path / "gone", SESSION)
