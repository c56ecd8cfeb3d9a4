"""Runs that are ended from outside: by Ctrl-C, by another process, or by ``kill -9``."""

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import PATIENCE, Cli, eventually

if TYPE_CHECKING:
    from trilemma.sandbox.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.root]

LONG = 'CALL run_code {"language": "shell", "code": "sleep 600"}'


def running(cli: Cli, agent: str) -> "subprocess.Popen[str]":
    """A run whose call is under way."""
    process = cli.start("run", agent, LONG, "--json")
    assert process.stdout is not None
    for text in process.stdout:
        if json.loads(text)["event"] == "tool_called":
            break
    eventually(lambda: sessions(cli)[0]["calls"] == 1)
    return process


def sessions(cli: Cli) -> list[dict[str, Any]]:
    return [json.loads(text) for text in cli("ps", "--json").out.splitlines()]


def endings(cli: Cli) -> list[str]:
    shown = cli("audit", "show", "--kind", "session.closed", "--json").out
    return [json.loads(text)["body"]["reason"] for text in shown.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_tidily(cli: Cli, agent: str, number: signal.Signals) -> None:
    process = running(cli, agent)
    process.send_signal(number)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert error.strip().splitlines() == [
        "trilemma: interrupted; the run has ended and its sandboxes are gone"
    ]
    assert cli.leftovers() == []
    assert endings(cli) == ["cancelled"]
    assert cli("audit", "verify").status == 0


def test_a_second_interrupt_does_not_wait_and_leaves_nothing(
    cli: Cli, agent: str, engine: "Engine"
) -> None:
    process = running(cli, agent)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, 143)
    eventually(lambda: not cli.leftovers() and not cli.containers(engine))


def test_a_session_is_stopped_from_another_process(cli: Cli, agent: str) -> None:
    process = running(cli, agent)
    (session,) = sessions(cli)
    assert (session["agent"], session["held"]) == ("worker", ["files", "code"])
    stopped = cli("stop", session["session"])
    assert (stopped.status, stopped.out) == (0, f"stopped {session['session']}\n")
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert error.strip() == "trilemma: the session was stopped"
    assert endings(cli) == ["stopped"]
    assert sessions(cli) == []
    assert cli("stop", session["session"]).status == 1
    assert cli("stop", "--all").out == "no session is running\n"


def test_a_killed_run_is_cleaned_up_and_recorded(cli: Cli, agent: str, engine: "Engine") -> None:
    process = running(cli, agent)
    process.kill()
    process.communicate(timeout=PATIENCE)
    eventually(lambda: not cli.leftovers() and not cli.containers(engine))
    (session,) = sessions(cli)
    assert session["alive"] is False
    cleaned = cli("clean")
    assert cleaned.status == 0
    assert "recorded 2 endings" in cleaned.out
    assert sessions(cli) == []
    assert endings(cli) == ["crashed"]
    assert cli("audit", "verify").status == 0
