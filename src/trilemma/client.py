"""A client: one principal acting through one gateway. Its runs share one domain by default."""

import atexit
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from trilemma.gateway.interface import Approve, Gateway
from trilemma.gateway.schemas import AgentSpec
from trilemma.gateway.telling import opened
from trilemma.result import Result
from trilemma.subagents.events import Event
from trilemma.subagents.progress import Progress
from trilemma.task import Task, refuse_results, render
from trilemma.team import Team

if TYPE_CHECKING:
    from trilemma.gateway.settings import Settings


class Client:
    """Runs agents through a gateway.

    ``Client.local()`` keeps the gateway in this process.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @classmethod
    def local(cls, settings: "Settings | None" = None) -> "Client":
        """A client with a gateway of its own in this process."""
        from trilemma.gateway.local import LocalGateway

        return cls(LocalGateway.start(settings))

    async def run(
        self,
        spec: AgentSpec,
        task: Task,
        *,
        new_domain: bool = False,
        layer: str | None = None,
        approve: Approve | None = None,
        on_event: Callable[[Event], None],
    ) -> Result:
        """Open a session, run the loop in it, close it whatever happens."""
        asked = render(task)
        refuse_results(spec)
        session = await self.gateway.open(
            spec,
            brings=asked.labels,
            new_domain=new_domain,
            layer=layer,
            approve=approve,
            on_event=on_event,
            lasting=True,
        )
        return await _to_the_end(Team(session, on_event), asked.text)

    async def resume(
        self,
        run: str,
        *,
        spec: AgentSpec | None = None,
        approve: Approve | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """Go on with a run that was interrupted: from its last step, with what it has left.

        It stays in its domain, and goes on with its layer. A call that was under way is not made
        again: the model reads that nobody knows how it ended. ``trilemma runs`` lists the runs.

        Raises:
            SpecError: there is no such run, it has ended, it runs, or its agent is another than
                it was (``spec``, where given, or what its file says now).
            LedgerTampered: what was kept of it is not what the ledger vouches for.
            Denied, WorkspaceError, SandboxError, LedgerError: it cannot go on now.
        """
        watch = on_event or _nobody_watches
        session = await self.gateway.resume(run, spec=spec, approve=approve, on_event=watch)
        assert session.progress is not None
        return await _to_the_end(Team(session, watch), session.progress)

    @asynccontextmanager
    async def team(
        self,
        spec: AgentSpec,
        *,
        new_domain: bool = False,
        layer: str | None = None,
        approve: Approve | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> AsyncIterator[Team]:
        """An open session of an agent, to give it and its sub-agents work until it is left."""
        refuse_results(spec)
        watch = on_event or _nobody_watches
        session = await self.gateway.open(
            spec, new_domain=new_domain, layer=layer, approve=approve, on_event=watch
        )
        team = Team(session, watch)
        try:
            team.on_event(opened(session))
            yield team
        finally:
            await team.close()

    async def close(self) -> None:
        """End everything that runs through this client."""
        await self.gateway.close()


async def _to_the_end(team: Team, task: str | Progress) -> Result:
    """Run the agent in its session and close that, whatever happens."""
    try:
        # Also where whoever is told of it fails, the run is not done.
        team.stop = "crashed"
        team.on_event(opened(team.session))
        return await team.work(task)
    finally:
        await team.close()


def _nobody_watches(event: Event) -> None:
    pass


_lock = threading.Lock()
_default: list[Client] = []


def default_client() -> Client:
    """The process's own client, made at first use and closed when the process ends."""
    with _lock:
        if not _default:
            client = Client.local()
            _default.append(client)
            atexit.register(_close_default)
        return _default[0]


def _close_default() -> None:
    while _default:
        _default.pop().gateway.abandon()
