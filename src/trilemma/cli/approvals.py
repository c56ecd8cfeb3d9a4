"""A decision that needs a person is asked for at the terminal. Anything but yes means no."""

import os
import select
import sys
import termios
import threading

from trilemma.cli.escape import block, line
from trilemma.cli.views import View
from trilemma.gateway.interface import ApprovalQuestion
from trilemma.policy.capability import show

_LOOK = 0.2
"""Seconds between looks whether anybody still waits for the answer."""


class Terminal:
    """Asks one question at a time."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()

    def __call__(self, question: ApprovalQuestion) -> bool:
        """Ask about this very act. The answer is good for nothing else."""
        with self._lock, self._view.paused():
            if question.withdrawn.is_set():
                return False
            # What was typed before the question is no answer to it.
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
            print(_text(question), end="", file=sys.stderr, flush=True)
            answer = _answer(question.withdrawn)
        return answer.strip().lower() in ("y", "yes")


def _text(question: ApprovalQuestion) -> str:
    takes = f"and takes {show(question.takes)}" if question.takes else "and takes nothing new"
    return (
        f"\nThis call waits for you: {line(question.tool)} {takes}\n"
        f"{block(question.arguments)}\n"
        "Allow this one call? [y/N] "
    )


def _answer(withdrawn: threading.Event) -> str:
    """The line that was typed; empty where nobody waits any more."""
    terminal = sys.stdin.fileno()
    while not withdrawn.is_set():
        ready, _, _ = select.select([terminal], [], [], _LOOK)
        if ready:
            return os.read(terminal, 1024).decode("utf-8", "replace")
    print("(withdrawn)", file=sys.stderr)
    return ""
