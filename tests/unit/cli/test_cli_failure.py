"""Every failure is one clear line and an exit status."""

import sys
from collections.abc import Callable

import pytest

from trilemma.cli.failure import Exit, Stop, guarded
from trilemma.errors import Cancelled, Denied, EngineMissing, LedgerError, SpecError

Main = Callable[[list[str]], None]


def raising(error: BaseException) -> Main:
    def run(arguments: list[str]) -> None:
        raise error

    return run


def status(run: Main) -> int:
    with pytest.raises(SystemExit) as ended:
        guarded(run)
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(autouse=True)
def command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["trilemma", "run", "--", "--debug"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SpecError("x"), 2),
        (Denied("x"), 3),
        (EngineMissing("x"), 1),
        (LedgerError("x"), 1),
        (Cancelled("x"), 130),
        (KeyboardInterrupt(), 130),
        (Stop("x", Exit.LIMIT), 4),
        (SystemExit(2), 2),
        (RuntimeError("x"), 1),
    ],
)
def test_each_error_has_its_status(error: BaseException, expected: int) -> None:
    assert status(raising(error)) == expected


def test_an_error_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    status(raising(LedgerError("the disk is full\x1b[2J")))
    assert capsys.readouterr().err == "trilemma: the disk is full\\x1b[2J\n"


def test_a_defect_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    status(raising(ZeroDivisionError("by zero")))
    error = capsys.readouterr().err
    assert error == "trilemma: internal error: ZeroDivisionError: by zero; --debug shows where\n"


def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["trilemma", "run", "--debug"])
    status(raising(LedgerError("no")))
    assert "Traceback" in capsys.readouterr().err


def test_words_after_two_dashes_are_left_alone() -> None:
    seen: list[list[str]] = []
    assert status(seen.append) == 0
    assert seen == [["run", "--", "--debug"]]


def test_a_file_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status(raising(PermissionError(13, "Permission denied", "/secret")))
    assert capsys.readouterr().err == "trilemma: '/secret': Permission denied\n"
