"""One call from wish to outcome, with a real ledger and policy and no sandbox."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import CallTimeout, SandboxError, SandboxLost, SpecError
from trilemma.gateway.calls import Calls, Run, call_id
from trilemma.gateway.enforcement import Actor, Enforcement
from trilemma.gateway.interface import ApprovalQuestion
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import decision_point
from trilemma.gateway.tools import ToolDefinition
from trilemma.inference.messages import ToolCall
from trilemma.policy.capability import CapabilitySet, parse
from trilemma.policy.operator import Approval, OperatorPolicy
from trilemma.sandbox.base import BuiltinEntry, CallResult
from trilemma.subagents.outcome import ToolOutcome

ACTOR = Actor("user:me", "dom", "ses", None)
FILES = parse(["files"])
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def tool(name: str, *needs: str, grants: bool = False) -> ToolDefinition:
    return ToolDefinition(name, name, SCHEMA, parse(needs), BuiltinEntry(name), takes_grants=grants)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db", durability="normal") as ledger:
        yield ledger
    verify(tmp_path / "ledger.db")


@pytest.fixture
def make(ledger: Ledger) -> Callable[..., Callable[..., ToolOutcome]]:
    def made(run: Run, *tools: ToolDefinition, approve: Any = None) -> Callable[..., ToolOutcome]:
        policy = OperatorPolicy(approval=Approval(tools=("careful",)))
        enforcement = Enforcement(ledger, decision_point(policy))
        enforcement.record(ACTOR, Event(kind=Kind.SESSION_OPENED))
        calls = Calls(enforcement, ACTOR, {t.name: t for t in tools}, run, approve)

        def call(name: str, **arguments: Any) -> ToolOutcome:
            return calls.call(ToolCall("c", name, json.dumps(arguments)), call_id())

        return call

    return made


def ending(error: BaseException) -> Run:
    def run(*_: object) -> CallResult:
        raise error

    return run


def settled(ledger: Ledger) -> list[Kind]:
    wanted = (Kind.CALL_COMMITTED, Kind.CALL_UNKNOWN)
    return [r.event.kind for r in ledger.events() if r.event.kind in wanted]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SandboxLost("gone"), Kind.CALL_UNKNOWN),
        (SandboxError("never made"), Kind.CALL_COMMITTED),
        (CallTimeout("late"), Kind.CALL_COMMITTED),
        (SpecError("no such profile"), Kind.CALL_COMMITTED),
    ],
)
def test_an_error_of_the_sandbox_is_an_outcome(
    make: Any, ledger: Ledger, error: Exception, kind: Kind
) -> None:
    outcome = make(ending(error), tool("read", "files"))("read", path="a")
    assert not outcome.ok
    assert str(error) in outcome.text
    assert settled(ledger) == [kind]


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), OSError("?")])
def test_what_nobody_foresaw_is_raised_and_its_call_is_unknown(
    make: Any, ledger: Ledger, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        make(ending(error), tool("read", "files"))("read", path="a")
    assert settled(ledger) == [Kind.CALL_UNKNOWN]


def test_a_call_is_in_the_ledger_before_it_runs(make: Any, ledger: Ledger) -> None:
    def run(_: object, call: str, arguments: object, given: CapabilitySet) -> CallResult:
        assert [r.event.kind for r in ledger.find_call(call)] == [Kind.CALL_RESERVED]
        assert given == parse(["files"]) == ledger.held("dom").capabilities
        return CallResult("text")

    assert make(run, tool("read", "files"))("read", path="a").text == "text"
    assert settled(ledger) == [Kind.CALL_COMMITTED]


def test_the_ledger_keeps_sizes_and_digests_and_no_content(make: Any, ledger: Ledger) -> None:
    call = make(lambda *_: CallResult("canary-result"), tool("read", "files"))
    call("read", path="canary-argument")
    call("read", wrong="canary-argument")
    call("canary", path="canary-argument")
    bodies = [json.dumps(dict(r.event.body)) for r in ledger.events()]
    assert not [body for body in bodies if "canary-" in body]


def test_a_tool_that_takes_grants_gets_what_its_domain_holds(make: Any, ledger: Ledger) -> None:
    given: list[CapabilitySet] = []

    def run(_: object, __: str, ___: object, capabilities: CapabilitySet) -> CallResult:
        given.append(capabilities)
        return CallResult("")

    call = make(run, tool("read", "files"), tool("shell", "code", grants=True))
    call("read", path="a")
    call("shell", path="a")
    assert given == [parse(["files"]), parse(["files", "code"])]


def test_arguments_that_a_person_saw_cannot_change_before_the_call(make: Any) -> None:
    ran: list[object] = []

    def run(_: object, __: str, arguments: dict[str, Any], ____: object) -> CallResult:
        ran.append(arguments)
        return CallResult("")

    shown: list[str] = []

    def approve(question: ApprovalQuestion) -> bool:
        shown.append(question.arguments)
        return True

    call = make(run, tool("careful", "files"), approve=approve)
    call("careful", path="ü\u202e")
    assert [json.loads(text) for text in shown] == ran == [{"path": "ü\u202e"}]


def test_parallel_calls_of_one_session_never_use_three(make: Any, ledger: Ledger) -> None:
    tools = [tool("read", "files"), tool("fetch", "internet"), tool("shell", "code")]
    used: set[str] = set()

    def run(used_tool: ToolDefinition, *_: object) -> CallResult:
        used.add(used_tool.name)
        return CallResult("")

    call = make(run, *tools)
    barrier = threading.Barrier(6)

    def act(name: str) -> None:
        barrier.wait(30)
        call(name, path="a")

    threads = [threading.Thread(target=act, args=(t.name,)) for t in tools * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(used) == 2
    assert len(ledger.held("dom").capabilities) == 2


def test_approval_is_for_what_was_shown_and_asked_again_when_the_call_would_do_more(
    make: Any, ledger: Ledger
) -> None:
    seen: list[CapabilitySet] = []
    asked: list[ApprovalQuestion] = []

    def run(tool: ToolDefinition, call: str, arguments: dict[str, Any], given: Any) -> CallResult:
        seen.append(given)
        return CallResult(value="done")

    def yes_to_the_first(question: ApprovalQuestion) -> bool:
        asked.append(question)
        if len(asked) == 1:
            # Another session of the domain reads a file while the person thinks.
            ledger.append(Event(kind=Kind.CALL_RESERVED, domain="dom", call="x", takes=FILES))
        return len(asked) == 1

    call = make(run, tool("careful", "code", grants=True), approve=yes_to_the_first)
    assert call("careful", path="a").denied
    assert (len(asked), seen) == (2, [])


def test_tool_name_that_is_not_text_is_refused_and_recorded(make: Any, ledger: Ledger) -> None:
    outcome = make(ending(AssertionError()))("\ud800")
    assert outcome.denied
    assert [r.event.what for r in ledger.events(kind=Kind.CALL_DENIED)] == ["\\ud800"]
