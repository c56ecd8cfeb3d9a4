"""The operator may want a person to approve calls of a sub-agent, as of any tool."""

import asyncio
import threading
from typing import Any

import pytest

from trilemma.errors import Denied
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.interface import ApprovalQuestion, Delegation
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.local import LocalGateway

pytestmark = [pytest.mark.docker, pytest.mark.root]

TASK = Delegation("worker", "the very task")


async def opened(gateway: LocalGateway, approve: Any) -> Any:
    data = {"model": "gullible", "agents": [{"agent": "worker"}]}
    spec = read_agent(data, origin="test", base=gateway.settings.state)
    return await gateway.open(spec, new_domain=True, approve=approve)


def kinds(gateway: LocalGateway, session: str) -> list[Kind]:
    ledger = gateway.enforcement.ledger
    return [e.event.kind for e in ledger.events(session=session) if e.event.call]


def test_a_sub_agent_is_called_when_a_person_says_so(asking: LocalGateway) -> None:
    questions: list[ApprovalQuestion] = []

    async def play(answer: bool) -> Any:
        def approve(question: ApprovalQuestion) -> bool:
            questions.append(question)
            return answer

        session = await opened(asking, approve)
        try:
            return session.id, await session.delegate(TASK)
        finally:
            await session.close("done")

    with pytest.raises(Denied, match="approves this very call of worker"):
        asyncio.run(play(answer=False))
    session, outcome = asyncio.run(play(answer=True))
    assert outcome.ok
    assert {(q.tool, q.arguments) for q in questions} == {("worker", '{"task":"the very task"}')}
    assert kinds(asking, session)[:3] == [
        Kind.APPROVAL_ASKED,
        Kind.APPROVAL_GIVEN,
        Kind.CALL_RESERVED,
    ]


def test_without_a_person_nobody_is_called(asking: LocalGateway) -> None:
    async def play() -> None:
        session = await opened(asking, None)
        with pytest.raises(Denied):
            await session.delegate(TASK)
        await session.close("done")

    asyncio.run(play())
    opens = asking.enforcement.ledger.events(kind=Kind.SESSION_OPENED)
    assert not [e for e in opens if e.event.body["parent"]]


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_a_question_is_withdrawn_when_nobody_waits_any_more(asking: LocalGateway, how: str) -> None:
    asked = threading.Event()

    def approve(question: ApprovalQuestion) -> bool:
        asked.set()
        assert question.withdrawn.wait(20)
        return True

    async def play() -> str:
        session = await opened(asking, approve)
        working = asyncio.ensure_future(session.delegate(TASK))
        await asyncio.to_thread(asked.wait)
        if how == "cancelled":
            working.cancel()
        await session.close("done")
        outcome = await asyncio.gather(working, return_exceptions=True)
        assert isinstance(outcome[0], BaseException)
        return str(session.id)

    session = asyncio.run(asyncio.wait_for(play(), 30))
    seen = kinds(asking, session)
    assert seen.count(Kind.CALL_RESERVED) == seen.count(Kind.CALL_COMMITTED)
