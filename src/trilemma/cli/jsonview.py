"""A run as JSON lines on standard output: every event, then one result object."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, Self

from trilemma.cli.failure import describe, status_of
from trilemma.cli.kept import Kept
from trilemma.policy.capability import ordered
from trilemma.result import Result
from trilemma.subagents.events import Event, StepFinished


class JsonView:
    """For programs. Nobody is asked anything: what needs approval is denied."""

    def __init__(self) -> None:
        self._steps = 0

    @property
    def steps(self) -> int:
        """Steps that were finished."""
        return self._steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        """Print one event."""
        if isinstance(event, StepFinished):
            self._steps = event.step
        _print(event.as_json())

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to pause."""
        return nullcontext()

    def show(self, result: Result, kept: Kept | None) -> None:
        """Print the result object, which is the last line."""
        _print(result_object(result, kept))


def result_object(result: Result, kept: Kept | None) -> dict[str, Any]:
    """A result as JSON values."""
    return {
        "event": "result",
        "ok": result.ok,
        "stop": result.stop,
        "text": result.text,
        "labels": [str(capability) for capability in ordered(result.labels)],
        "session": result.session,
        "domain": result.domain,
        "steps": result.steps,
        "usage": asdict(result.usage),
        "denials": [asdict(denial) for denial in result.denials],
        "layer": asdict(kept) if kept else None,
    }


def print_error(error: Exception) -> None:
    """Print the error object, which is the last line where there is no result."""
    _print({"event": "error", "error": describe(error), "status": int(status_of(error))})


def _print(value: dict[str, Any]) -> None:
    # ASCII: no terminal obeys it, and it survives any encoding.
    print(json.dumps(value), flush=True)
