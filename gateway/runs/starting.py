"""Runs that begin and runs that go on, on their way to a session."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from trilemma.errors import SpecError, TrilemmaError

from ...subagents.limits import Spent
from ...subagents.progress import Progress
from ..ledger.events import Event
from ..ledger.store import Ledger
from ..schemas import AgentSpec
from . import agents
from .loading import Loaded, load
from .log import RunLog
from .places import REFUSED, RUNNING, RunPlace, Runs
from .records import Origin


@dataclass(frozen=True)
class RunStart:
    """A run in the hands of this process, before it has a session."""

    place: RunPlace
    spec: AgentSpec
    loaded: Loaded | None = None
    """Where it goes on; None where it begins."""

    @classmethod
    def new(cls, runs: Runs, spec: AgentSpec) -> Self:
        """Begin a run.

        Raises:
            LedgerError: the disk refuses it.
        """
        return cls(runs.create(spec.name, spec.model), spec)

    @classmethod
    def again(
        cls, runs: Runs, run: str, spec: AgentSpec | None, ledger: Ledger, principal: str
    ) -> Self:
        """Take up a run where it was left. ``spec`` must be what it was; None reads it again.

        Raises:
            SpecError: there is no such run, it has ended, it runs, or its agent has changed.
            LedgerTampered: what was kept of it is not what the ledger vouches for.
        """
        place = runs.take(run)
        try:
            loaded = load(place, ledger)
            if loaded.principal != principal:
                raise SpecError(f"run {run!r} is of {loaded.principal!r}, not of {principal!r}")
            if spec is None:
                spec = agents.agent_of(loaded.origin.agent, run)
            agents.require_same(loaded.origin.agent, spec, run)
        except TrilemmaError as error:
            refuse(place, error)
            raise
        return cls(place, spec, loaded)

    @property
    def run(self) -> str:
        """The run's name."""
        return self.place.status.run

    @property
    def domain(self) -> str:
        """The domain that it goes on in: what that holds, it still holds."""
        assert self.loaded is not None
        return self.loaded.domain

    @property
    def layer(self) -> str | None:
        """The layer that it goes on with."""
        return self.loaded.origin.layer if self.loaded else None

    @property
    def progress(self) -> Progress | None:
        """Where it goes on; None where it begins."""
        return self.loaded.progress if self.loaded else None

    def log(
        self,
        session: str,
        tools: Sequence[str],
        layer: str | None,
        anchor: Callable[[Event], None],
        spent: Callable[[], Spent],
    ) -> RunLog:
        """What the session writes down; ``tools`` are the identities of its tools.

        Raises:
            SpecError: those are not the tools that the run began with.
            LedgerError: the disk refuses it.
        """
        agent = agents.described(self.spec)
        origin = Origin(self.run, agent, agents.digest(agent, tools), layer)
        if self.loaded is not None and self.loaded.origin.digest != origin.digest:
            raise agents.changed_error(self.run, "the source of its tools")
        self.place.say(RUNNING, session=session)
        if self.loaded is None:
            return RunLog(self.place, origin, anchor, spent)
        return RunLog(
            self.place,
            origin,
            anchor,
            spent,
            journal=self.loaded.journal,
            conversation=self.loaded.conversation,
        )

    def refuse(self, error: BaseException) -> None:
        """It gets no session: say why, and leave it for another time; a new one never was."""
        if self.loaded is None:
            self.place.remove()
            return
        self.loaded.journal.close()
        refuse(self.place, error)


def refuse(place: RunPlace, error: BaseException) -> None:
    """Say why a run does not go on, and let go of it."""
    try:
        place.say(REFUSED, why=str(error).splitlines()[0] if str(error) else type(error).__name__)
    finally:
        place.release()
