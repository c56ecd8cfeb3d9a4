"""``Team``: an agent with an open session, and the ways to give it and its sub-agents work."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from trilemma.children import Declared
from trilemma.errors import SpecError, TrilemmaError
from trilemma.gateway.agentfile import read_child
from trilemma.gateway.interface import ChildOutcome, Delegation, Session
from trilemma.gateway.teamspec import MediatedSpec
from trilemma.result import Result
from trilemma.subagents import patterns
from trilemma.subagents.events import Event, StepFinished, SubagentEvent
from trilemma.subagents.progress import Progress
from trilemma.task import Task, fill, refuse_results, render
from trilemma.working import work

if TYPE_CHECKING:
    from trilemma.gateway.teamspec import ChildSpec

T = TypeVar("T")
Who = str | Declared
"""The name of a sub-agent, or one that is declared for this task alone and has no more."""
Check = Callable[[Result], "str | Awaitable[str | None] | None"]
Judge = Callable[[Sequence[Result]], "int | Awaitable[int]"]

_JUDGE = (
    "Below are a task and several answers to it, numbered from 0. Which answer is best? Reply "
    "with its number and nothing else."
)
_NUMBER = re.compile(r"\d+")


class Team:
    """What ``async with agent.open() as team`` gives.

    Everything goes through the one session of the agent: its domain, budget and workspace. When it
    is closed, whoever is still at work is ended first. Results carry labels, as any do.
    """

    def __init__(self, session: Session, on_event: Callable[[Event], None]) -> None:
        self.session = session
        self.stop = "done"
        """How the agent's own last run ended."""
        self._on_event = on_event
        self._steps: dict[str, int] = {}

    async def run(self, task: Task) -> Result:
        """Give the agent itself a task; its model may call its sub-agents.

        Raises:
            Denied: its domain cannot take in what the task carries.
            TrilemmaError: the run ended in an error.
        """
        asked = render(task)
        await self.session.take(asked.labels)
        return await self.work(asked.text)

    async def spawn(self, who: Who, task: Any, *, context: str = "") -> Result:
        """Give one sub-agent a task and wait for its answer.

        For a mediated one the task is a value of the type that it asks for; its answer stands in
        ``value``. A sub-agent that fails is a result that is not ``ok``.

        Raises:
            Denied: the delegation was refused; the text says why and what is possible.
            SpecError: there is no such sub-agent, or the task is none for it.
        """
        return await self._delegate(self._order(who, task, context))

    @overload
    async def map(
        self,
        who: Who,
        tasks: Iterable[Any],
        *,
        context: str = "",
        at_once: int | None = None,
        collect: Literal[False] = False,
    ) -> list[Result]: ...

    @overload
    async def map(
        self,
        who: Who,
        tasks: Iterable[Any],
        *,
        context: str = "",
        at_once: int | None = None,
        collect: Literal[True],
    ) -> list[Result | TrilemmaError]: ...

    async def map(
        self,
        who: Who,
        tasks: Iterable[Any],
        *,
        context: str = "",
        at_once: int | None = None,
        collect: bool = False,
    ) -> Any:
        """Give a sub-agent several tasks side by side; the results in the order of the tasks.

        What all of them need to know is their ``context``: a model server reads it once. The first
        error cancels the others, unless asked to ``collect`` errors in the places of results.

        Raises:
            Denied, SpecError: as :meth:`spawn`.
        """
        orders = [self._order(who, task, context) for task in tasks]
        hand_out = patterns.collect if collect else patterns.fan_out
        return await hand_out(self._delegate, orders, at_once or self._width, self.session.warm_up)

    async def best_of(
        self, who: Who, task: Any, n: int, judge: Judge | Who, *, at_once: int | None = None
    ) -> Result:
        """Give the same task out ``n`` times, and let a judge choose among what ended well.

        The judge is a function that gets the results and gives a position, or a sub-agent.

        Raises:
            SpecError: the judge names none of them.
            Denied: as :meth:`spawn`.
        """

        async def choose(results: Sequence[Result]) -> int:
            if isinstance(judge, str | Declared):
                return await self._ask_judge(judge, task, results)
            return await _awaited(judge(results))

        order, at_once = self._order(who, task, ""), at_once or self._width
        warm_up = self.session.warm_up
        return await patterns.best_of(self._delegate, order, n, choose, at_once, warm_up)

    async def race(self, entrants: Iterable[tuple[Who, Any]]) -> Result:
        """Give out tasks side by side: the first that ends well, and the others are cancelled.

        Where none does, it is the last one's failure.

        Raises:
            Denied, SpecError: as :meth:`spawn`.
        """
        orders = [self._order(who, task, "") for who, task in entrants]
        return self._result(await self.session.race(orders, on_event=self.on_event))

    async def retry(self, who: Who, task: Task, check: Check, attempts: int = 3) -> Result:
        """Give a task out until its result passes ``check``, ``attempts`` times at most.

        ``check`` gives None for a result that passes, else what is wrong with it, which goes into
        the next attempt together with the result. The last result is returned whatever it is.

        Raises:
            SpecError: the sub-agent is mediated and is asked in values, which hold no feedback.
            Denied: as :meth:`spawn`.
        """
        if isinstance(self._spec(who), MediatedSpec):
            raise SpecError(
                f"{self._name(who)!r} is mediated: what was wrong cannot be told in a value that "
                "it asks for; call spawn() again with another value"
            )

        async def passes(result: Result) -> str | None:
            return await _awaited(check(result))

        def again(before: Delegation, result: Result, feedback: str) -> Delegation:
            parts = {"task": task, "your last answer": result, "what is wrong with it": feedback}
            return self._order(who, parts, "")

        first = self._order(who, task, "")
        return await patterns.retry(self._delegate, first, passes, attempts, again)

    async def work(self, task: str | Progress) -> Result:
        """Run the agent's own loop on text that is taken in already, or where it goes on."""
        self.stop = "crashed"
        worked = await work(self.session, task, self.on_event)
        self.stop = worked.stop
        return worked.result()

    async def close(self) -> None:
        """End everybody who is still at work, and give everything back."""
        await self.session.close(self.stop)

    def on_event(self, event: Event) -> None:
        """Take note of an event and hand it on."""
        if isinstance(event, SubagentEvent) and isinstance(event.event, StepFinished):
            self._steps[event.session] = event.event.step
        self._on_event(event)

    @property
    def _width(self) -> int:
        return self.session.spec.team.width

    async def _delegate(self, order: Delegation) -> Result:
        return self._result(await self.session.delegate(order, on_event=self.on_event))

    def _order(self, who: Who, task: Any, context: str) -> Delegation:
        spec, shared = self._spec(who), render(context)
        if isinstance(spec, MediatedSpec):
            filled = fill(task)
            labels = filled.labels | shared.labels
            return Delegation(spec.agent, filled.value, shared.text, labels)
        asked = render(cast("Task", task))
        agent = who if isinstance(who, str) else spec
        return Delegation(agent, asked.text, shared.text, asked.labels | shared.labels)

    def _spec(self, who: Who) -> "ChildSpec":
        if isinstance(who, Declared):
            spec = read_child(who.data, origin="the sub-agent", base=self.session.spec.base)
            refuse_results(spec)
            return spec
        agents = {each.agent: each for each in self.session.spec.agents}
        if who not in agents:
            known = ", ".join(agents) or "none"
            raise SpecError(
                f"{self.session.spec.name!r} has no sub-agent {who!r}; it has: {known}. "
                "Declare it with Agent(agents=[child(...)]), or give child(...) itself"
            )
        return agents[who]

    def _name(self, who: Who) -> str:
        return who if isinstance(who, str) else str(who.data.get("agent"))

    async def _ask_judge(self, judge: Who, task: Any, results: Sequence[Result]) -> int:
        question = {"task": task, "answers": list(results)}
        if not isinstance(self._spec(judge), MediatedSpec):
            question = {"what to do": _JUDGE} | question
        verdict = await self.spawn(judge, question)
        if isinstance(verdict.value, int):
            return verdict.value
        numbers = set(_NUMBER.findall(verdict.text))
        if not verdict.ok or len(numbers) != 1:
            raise SpecError(f"the judge {self._name(judge)!r} did not answer with one number")
        return int(numbers.pop())

    def _result(self, outcome: ChildOutcome) -> Result:
        said = outcome.value if isinstance(outcome.value, str) else outcome.text
        return Result(
            text=outcome.text if outcome.ok else said,
            stop=outcome.stop,
            labels=outcome.labels,
            session=outcome.session,
            domain=self.session.domain,
            steps=self._steps.pop(outcome.session, 0),
            usage=outcome.usage,
            agent=outcome.agent,
            value=outcome.value,
        )


async def _awaited(value: T | Awaitable[T]) -> T:
    return await value if isinstance(value, Awaitable) else value
