"""The self-test: how an attempt ends, and that what it writes meets nobody."""

import errno
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trilemma.sandbox.toolhost import acts, attempts, kernel, selftest
from trilemma.sandbox.toolhost.attempts import Attempt
from trilemma.sandbox.toolhost.settings import Settings

READ_WRITE = Settings("never", "none", "rw", 1 << 20, 1 << 20, ())


def test_sandboxes_of_one_workspace_try_to_write_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "WORKSPACE", str(tmp_path))
    (tmp_path / ".trilemma-selftest").mkdir()
    (write,) = (a for a in attempts.of_profile(READ_WRITE) if a.name == "write the workspace")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: write.act(), range(400)))
    assert [path.name for path in tmp_path.iterdir()] == [".trilemma-selftest"]


def fails(code: int) -> Callable[[], object]:
    def act() -> None:
        raise OSError(code, "")

    return act


def becomes_a_program() -> None:
    os.execve("/bin/sleep", ["sleep", "600"], {})


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGSYS)


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (lambda: None, "allowed"),
        (becomes_a_program, "allowed"),
        (lambda: os._exit(0), "allowed"),
        (is_killed, "refused"),
        (fails(errno.EPERM), "refused"),
        (fails(errno.ENOSYS), "refused"),
        (fails(0), "refused"),
        # The kernel has looked at the arguments, so nothing refused the call itself.
        (fails(errno.EBADF), "allowed"),
        (fails(errno.EFAULT), "allowed"),
        (fails(errno.ENOENT), "allowed"),
    ],
)
def test_what_becomes_of_an_attempt_and_of_those_after_it(
    act: Callable[[], object], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = [Attempt(name, True, a) for name, a in (("1", fails(1)), ("2", act), ("3", fails(1)))]
    monkeypatch.setattr(selftest, "of_profile", lambda settings: tried)
    monkeypatch.setattr(kernel, "install_filter", lambda program: None)
    found = [(o["name"], o["outcome"]) for o in selftest.report(READ_WRITE)]
    assert found == [("1", "refused"), ("2", outcome), ("3", "refused")]


def test_an_attempt_that_breaks_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        selftest, "of_profile", lambda settings: [Attempt("1", True, lambda: 1 / 0)]
    )
    monkeypatch.setattr(kernel, "install_filter", lambda program: None)
    (found,) = selftest.report(READ_WRITE)
    assert found["detail"].startswith("broken: ZeroDivisionError")
