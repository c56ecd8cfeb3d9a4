"""``Agent``: what a user writes, and how it is run."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trilemma.children import Declared, as_child
from trilemma.tool import as_spec

if TYPE_CHECKING:
    from trilemma.blocking import BlockingTeam
    from trilemma.client import Client
    from trilemma.gateway.interface import Approve
    from trilemma.gateway.schemas import AgentSpec
    from trilemma.result import Result
    from trilemma.subagents.events import Event
    from trilemma.task import Task
    from trilemma.team import Team

T = TypeVar("T")
Pathish = str | PathLike[str]


class Agent:
    """An agent: instructions, a model, tools, and at most two capabilities.

    >>> agent = Agent(
    ...     model="anthropic/claude-sonnet-4-5",
    ...     grants=["files", "code"],
    ...     tools=["read_file", "search_files", "run_code"],
    ...     workspace="~/src/project",
    ... )
    >>> print(agent.run("Which test covers the parser?").text)  # doctest: +SKIP

    Raises:
        SpecError: a field is wrong; the text names it, its value and the way on.
    """

    def __init__(
        self,
        *,
        model: str,
        instructions: str = "",
        name: str = "agent",
        grants: Iterable[str] | None = None,
        tools: Iterable[Any] = (),
        workspace: Pathish | Mapping[str, Any] | None = None,
        hosts: Iterable[str | Mapping[str, Any]] | None = None,
        limits: Mapping[str, Any] | None = None,
        sandbox: Mapping[str, Any] | None = None,
        image: str | None = None,
        agents: "Iterable[Declared | Agent | Mapping[str, Any]]" = (),
        team: Mapping[str, Any] | None = None,
    ) -> None:
        from trilemma.gateway.agentfile import read_agent

        data: dict[str, Any] = {
            "name": name,
            "instructions": instructions,
            "model": model,
            "grants": grants if grants is None or isinstance(grants, str) else sorted(grants),
            "tools": [as_spec(item) for item in tools],
            "hosts": None if hosts is None else list(hosts),
            "limits": dict(limits or {}),
            "sandbox": dict(sandbox or {}),
            "image": image,
            "agents": [as_child(item) for item in agents],
            "team": dict(team or {}),
        }
        if workspace is not None:
            data["workspace"] = _workspace(workspace)
        self.spec: AgentSpec = read_agent(data, origin=f"Agent({name!r})", base=Path.cwd())

    @classmethod
    def from_file(cls, path: Pathish) -> "Agent":
        """Read an agent from a YAML file.

        Raises:
            SpecError: the file is missing or wrong; the text names file, line and value.
        """
        from trilemma.gateway.agentfile import load_agent

        agent = cls.__new__(cls)
        agent.spec = load_agent(Path(path))
        return agent

    async def arun(
        self,
        task: "Task",
        *,
        client: "Client | None" = None,
        new_domain: bool = False,
        layer: str | None = None,
        approve: "Approve | None" = None,
        on_event: "Callable[[Event], None] | None" = None,
    ) -> "Result":
        """Run the agent on a task until it is done or a limit stops it.

        A ``Result``, a list or record of some, and text that one was pasted into bring the labels
        along: what does, and what does not, stands at :class:`Result`. Runs through one client
        share one domain unless ``new_domain`` asks for another. ``layer`` continues an earlier
        run's changes.

        Raises:
            Denied: the run was refused before its first step.
            SpecError, WorkspaceError, SandboxError, LedgerError: it cannot start or go on.
        """
        from trilemma.client import default_client

        return await (client or default_client()).run(
            self.spec,
            task,
            new_domain=new_domain,
            layer=layer,
            approve=approve,
            on_event=on_event or _ignore,
        )

    def open(
        self, *, client: "Client | None" = None, **options: Any
    ) -> "AbstractAsyncContextManager[Team]":
        """``async with agent.open() as team``: an open session, to give its sub-agents work.

        Takes ``new_domain``, ``layer``, ``approve`` and ``on_event`` as :meth:`arun` does.
        """
        from trilemma.client import default_client

        return (client or default_client()).team(self.spec, **options)

    def team(
        self, *, client: "Client | None" = None, **options: Any
    ) -> "AbstractContextManager[BlockingTeam]":
        """``with agent.team() as team``: :meth:`open` for callers without an event loop."""
        from trilemma.blocking import blocking

        return blocking(self.open(client=client, **options))

    def run(
        self,
        task: "Task",
        *,
        client: "Client | None" = None,
        new_domain: bool = False,
        layer: str | None = None,
        approve: "Approve | None" = None,
        on_event: "Callable[[Event], None] | None" = None,
    ) -> "Result":
        """Run the agent and wait: :meth:`arun` for callers without an event loop of their own.

        Works inside a notebook too, where a loop is already running.
        """
        return _wait(
            self.arun(
                task,
                client=client,
                new_domain=new_domain,
                layer=layer,
                approve=approve,
                on_event=on_event,
            )
        )

    async def aresume(
        self,
        run: str,
        *,
        client: "Client | None" = None,
        approve: "Approve | None" = None,
        on_event: "Callable[[Event], None] | None" = None,
    ) -> "Result":
        """Go on with a run of this agent that was interrupted: :meth:`Client.resume`.

        Raises:
            SpecError: there is no such run, it has ended, or it is of another agent.
            Denied, WorkspaceError, SandboxError, LedgerError: it cannot go on now.
        """
        from trilemma.client import default_client

        chosen = client or default_client()
        return await chosen.resume(run, spec=self.spec, approve=approve, on_event=on_event)

    def resume(
        self,
        run: str,
        *,
        client: "Client | None" = None,
        approve: "Approve | None" = None,
        on_event: "Callable[[Event], None] | None" = None,
    ) -> "Result":
        """Go on with a run and wait: :meth:`aresume` for callers without an event loop."""
        return _wait(self.aresume(run, client=client, approve=approve, on_event=on_event))

    async def stream(
        self, task: "Task", *, client: "Client | None" = None, **options: Any
    ) -> "AsyncIterator[Event | Result]":
        """Run the agent and yield its events as they happen, then its ``Result``.

        Leaving the iteration early cancels the run.
        """
        queue: asyncio.Queue[Event | Result | None] = asyncio.Queue()
        running = asyncio.ensure_future(
            self.arun(task, client=client, on_event=queue.put_nowait, **options)
        )
        running.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            yield await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _workspace(workspace: Pathish | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(workspace, Mapping):
        return dict(workspace)
    return {"path": str(workspace)}


def _ignore(event: "Event") -> None:
    pass


def _wait(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, in a thread of its own where this one already runs a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[T] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=target, name="trilemma-run")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
