"""One run from the command line: everything around it that may fail, and its tidy end."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trilemma.cli.approvals import Terminal
from trilemma.cli.asking import has_terminal
from trilemma.cli.failure import Exit, Stop
from trilemma.cli.interrupts import Interrupts
from trilemma.cli.jsonview import print_error
from trilemma.cli.layers import keep
from trilemma.cli.views import View, choose
from trilemma.client import Client
from trilemma.errors import Denied
from trilemma.gateway.agentfile import load_agent
from trilemma.gateway.interface import Approve
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.runs.places import Runs
from trilemma.gateway.settings import Settings
from trilemma.result import Result
from trilemma.sandbox import images
from trilemma.subagents.events import Event, ToolDenied, ToolReturned

_LONGEST_TASK = 4 * 1024 * 1024


@dataclass(slots=True)
class LastCall:
    """Whether the last tool call of a run failed. A denied one did not fail: the gate worked."""

    failed: bool = False

    def on_event(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, ToolReturned):
            self.failed = not event.ok
        elif isinstance(event, ToolDenied):
            self.failed = False


Work = Callable[[Client, Approve | None, Callable[[Event], None]], Coroutine[Any, Any, Result]]
"""Does it through a client; asks a person where it must, and tells what happens."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run, ready to begin."""

    agent: str
    model: str
    layer: str | None
    """The layer that it continues."""
    work: Work


@dataclass(frozen=True, slots=True)
class Run(ABC):
    """What was asked for on the command line."""

    json: bool
    policy: Path | None

    @abstractmethod
    def job(self, settings: Settings) -> Job:
        """What is to be done.

        Raises:
            TrilemmaError, Stop: it cannot be begun.
        """

    def execute(self) -> Exit:
        """Run it, show it, and give everything back.

        Raises:
            TrilemmaError, Stop: it could not be run to an end; nothing is left behind.
        """
        try:
            return self._to_the_end()
        except Exception as error:
            if self.json:
                print_error(error)
            raise

    def _to_the_end(self) -> Exit:
        settings = self._settings()
        job = self.job(settings)
        with Interrupts() as interrupts:
            gateway = LocalGateway.start(settings)
            try:
                view = choose(job.agent, job.model, json=self.json)
                last = LastCall()
                result = self._watched(job, gateway, interrupts, view, last)
                kept = keep(gateway, result, job.layer)
            finally:
                gateway.end()
            view.show(result, kept)
        if not result.ok:
            return Exit.LIMIT
        return Exit.CALL_FAILED if last.failed else Exit.DONE

    def _settings(self) -> Settings:
        settings = Settings.from_environment()
        if self.policy is None:
            return settings
        return replace(settings, policy_file=self.policy.absolute())

    def _watched(
        self,
        job: Job,
        gateway: LocalGateway,
        interrupts: Interrupts,
        view: View,
        last: LastCall,
    ) -> Result:
        # Without a terminal, what needs approval is denied.
        terminal = Terminal(view) if has_terminal() and not self.json else None

        def on_event(event: Event) -> None:
            last.on_event(event)
            view.on_event(event)

        work = job.work(Client(gateway), terminal, on_event)
        try:
            with view:
                return interrupts.run(work)
        except Denied as denied:
            if view.steps:
                raise Stop(str(denied), Exit.ERROR) from denied
            raise


@dataclass(frozen=True, slots=True)
class New(Run):
    """``trilemma run``."""

    agent: Path
    task: str
    layer: str | None

    def job(self, settings: Settings) -> Job:
        """An agent from its file, and its task."""
        spec, task = load_agent(self.agent), _task(self.task)
        _see_images(own=spec.image is None)

        def work(
            client: Client, approve: Approve | None, on_event: Callable[[Event], None]
        ) -> Coroutine[Any, Any, Result]:
            return client.run(spec, task, layer=self.layer, approve=approve, on_event=on_event)

        return Job(spec.name, spec.model, self.layer, work)


@dataclass(frozen=True, slots=True)
class Resumed(Run):
    """``trilemma resume``."""

    run: str

    def job(self, settings: Settings) -> Job:
        """A run where it was left."""
        status = Runs.of(settings.state).status(self.run)
        _see_images(own=True)

        def work(
            client: Client, approve: Approve | None, on_event: Callable[[Event], None]
        ) -> Coroutine[Any, Any, Result]:
            return client.resume(self.run, approve=approve, on_event=on_event)

        return Job(status.agent, status.model, None, work)


def _task(text: str) -> str:
    if text != "-":
        return text
    text = sys.stdin.read(_LONGEST_TASK + 1)
    if len(text) > _LONGEST_TASK:
        raise Stop(f"the task on standard input is longer than {_LONGEST_TASK} characters")
    if not text.strip():
        raise Stop("standard input held no task", Exit.USAGE)
    return text


def _see_images(*, own: bool) -> None:
    """Build what is missing. The first run on a machine waits for it, and sees why."""
    images.ensure("base", _say)
    if own:
        images.ensure("code", _say)


def _say(text: str) -> None:
    print(f"trilemma: {text}", file=sys.stderr, flush=True)
