"""A person's approval: of one exact call, and never of the rule."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trilemma.gateway.interface import ApprovalQuestion
from trilemma.gateway.ledger.events import Kind
from trilemma.inference.messages import ToolCall
from trilemma.policy.capability import NONE, parse

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

POLICY = "approval:\n  tools: [write_file, run_code]\n"
WRITE = {"path": "new.txt", "text": "made\n"}


class Person:
    """Answers questions, and remembers them."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[ApprovalQuestion] = []

    def __call__(self, question: ApprovalQuestion) -> bool:
        self.asked.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


def writer(made: Any, person: Any) -> Any:
    return made.open("write_file", grants=["files"], files=True, approve=person)


def kinds(made: Any, call: str) -> list[Kind]:
    return [r.event.kind for r in made.ledger.find_call(call)]


def test_an_approved_call_runs_with_exactly_what_was_shown(gate: Make) -> None:
    made, person = gate(POLICY), Person(True)
    session = writer(made, person)
    outcome = session.call("write_file", **WRITE)
    assert outcome.ok
    assert (session.upper / "new.txt").read_text() == "made\n"
    (question,) = person.asked
    assert json.loads(question.arguments) == WRITE
    assert (question.tool, question.takes) == ("write_file", NONE)
    assert kinds(made, outcome.call_id) == [
        Kind.APPROVAL_ASKED,
        Kind.APPROVAL_GIVEN,
        Kind.CALL_RESERVED,
        Kind.CALL_COMMITTED,
    ]


@pytest.mark.parametrize("answer", [False, None, "yes", 1, OSError("the terminal is gone")])
def test_whatever_is_not_a_clear_yes_is_a_no(gate: Make, answer: Any) -> None:
    made = gate(POLICY)
    session = writer(made, Person(answer))
    outcome = session.call("write_file", **WRITE)
    assert outcome.denied
    assert "approval_required" in outcome.reasons
    assert not list(session.upper.iterdir())
    assert kinds(made, outcome.call_id) == [Kind.APPROVAL_ASKED, Kind.APPROVAL_REFUSED]


def test_where_nobody_can_be_asked_it_is_denied(gate: Make) -> None:
    session = writer(gate(POLICY), None)
    assert session.call("write_file", **WRITE).denied
    assert not list(session.upper.iterdir())


def test_sabotage_without_the_operator_s_line_it_runs_unasked(gate: Make) -> None:
    person = Person()
    session = writer(gate(), person)
    session.ok("write_file", **WRITE)
    assert person.asked == []


def test_an_approval_is_good_for_one_call(gate: Make) -> None:
    person = Person(True, False)
    session = writer(gate(POLICY), person)
    assert session.call("write_file", **WRITE).ok
    (session.upper / "new.txt").unlink()
    assert session.call("write_file", **WRITE).denied
    assert not (session.upper / "new.txt").exists()
    assert len({question.call for question in person.asked}) == 2


def test_nobody_is_asked_about_a_third_capability(gate: Make, origin: Make) -> None:
    server, person = origin(), Person()
    made = gate(POLICY + server.policy)
    session = made.open("http_fetch", "run_code", files=True, approve=person, hosts=[server.rule()])
    session.ok("http_fetch", url=server.url())
    outcome = session.call("run_code", language="python", code="open('ran', 'w')")
    assert "third_capability" in outcome.reasons
    assert person.asked == []
    assert not (session.upper / "ran").exists()


def test_what_was_taken_while_a_person_thought_counts(gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(POLICY + server.policy)

    def slow(question: ApprovalQuestion) -> bool:
        assert question.takes == parse(["code"])
        made.open("http_fetch", hosts=[server.rule()]).ok("http_fetch", url=server.url())
        return True

    session = made.open("run_code", files=True, approve=slow)
    outcome = session.call("run_code", language="python", code="open('ran', 'w')")
    assert outcome.denied
    assert "third_capability" in outcome.reasons
    assert not (session.upper / "ran").exists()
    assert session.held == parse(["files", "internet"])


def test_a_cancelled_run_withdraws_its_question(gate: Make) -> None:
    asked = threading.Event()

    def never(question: ApprovalQuestion) -> bool:
        asked.set()
        assert question.withdrawn.wait(30)
        return True

    session = writer(gate(POLICY), never)

    async def cancelled() -> None:
        wanted = ToolCall("c", "write_file", json.dumps(WRITE))
        call = asyncio.create_task(session.session.call_tool(wanted))
        await asyncio.to_thread(asked.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancelled())
    assert not list(session.upper.iterdir())


def test_a_gateway_that_ends_withdraws_its_questions(gate: Make) -> None:
    made, asked = gate(POLICY), threading.Event()

    def never(question: ApprovalQuestion) -> bool:
        asked.set()
        return not question.withdrawn.wait(30)

    session = writer(made, never)
    call = threading.Thread(target=session.call, args=("write_file",), kwargs=WRITE)
    call.start()
    assert asked.wait(30)
    made.close()
    call.join(30)
    assert not call.is_alive()
    assert not list(session.upper.iterdir())
