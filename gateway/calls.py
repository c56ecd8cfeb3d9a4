"""One tool call, from the model's wish to a recorded outcome."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from trilemma.errors import LedgerError, SandboxError, SandboxLost, SpecError

from ..inference.messages import ToolCall
from ..policy.capability import Capability, CapabilitySet
from ..policy.decision import Verdict
from ..policy.explain import explain
from ..policy.request import AccessRequest, Act, ToolFacts
from ..sandbox.base import CallError, CallResult
from ..subagents.outcome import ToolOutcome
from . import arguments as args
from .approvals import Approvals
from .enforcement import Actor, Enforcement, Entry, new_id, request
from .interface import Approve
from .ledger.events import Event, Kind
from .ledger.fold import Held
from .ledger.store import Reservation
from .outcomes import failed, refused, returned
from .runs.log import NOT_KEPT, Keeping
from .tools import ToolDefinition

Run = Callable[[ToolDefinition, str, dict[str, Any], CapabilitySet], CallResult]
"""Runs an allowed call of a tool: its id, its arguments, the capabilities it was given."""

_UNKNOWN = "sha256:" + "0" * 64


class Calls:
    """Decides, runs and records the tool calls of one session."""

    def __init__(
        self,
        enforcement: Enforcement,
        actor: Actor,
        tools: dict[str, ToolDefinition],
        run: Run,
        approve: Approve | None,
        keeping: Keeping = NOT_KEPT,
    ) -> None:
        self._enforcement = enforcement
        self._actor = actor
        self._tools = tools
        self._run = run
        self._approvals = Approvals(enforcement, actor, approve)
        self._keeping = keeping

    def call(self, wanted: ToolCall, call: str) -> ToolOutcome:
        """Take one call to its end. Blocking; ``call`` is its name in the ledger.

        Raises:
            LedgerError: it cannot be recorded; nothing more may run.
        """
        tool = self._tools.get(wanted.name)
        if tool is None:
            return self._refuse_unknown(wanted, call)
        try:
            arguments = args.parse(wanted.arguments, tool)
        except args.BadArguments as problem:
            return failed(call, CallError("bad_arguments", str(problem)))
        entry = _entry(tool, arguments, call)
        reservation = self._reserve(tool, entry, arguments)
        if not reservation.decision.allowed:
            return refused(call, reservation)
        return self._perform(tool, arguments, call, reservation)

    def withdraw(self, call: str) -> None:
        """Nobody waits for the call any more: a person need not answer."""
        self._approvals.withdraw(call)

    def close(self) -> None:
        """The session ends: no person is asked about any call of it any more."""
        self._approvals.close()

    def _perform(
        self, tool: ToolDefinition, arguments: dict[str, Any], call: str, reservation: Reservation
    ) -> ToolOutcome:
        given = reservation.request.needs
        try:
            result = self._run(tool, call, arguments, given)
        except SandboxLost as error:
            # It may have had its effect or not: nobody may repeat it without looking.
            self._settle(Kind.CALL_UNKNOWN, tool, call, {"error": str(error)})
            return failed(call, CallError("lost", f"{error}; whether it had an effect is unknown"))
        except (SandboxError, SpecError) as error:
            outcome = failed(call, CallError("tool_error", str(error)))
            return self._commit(tool, outcome, {"ok": False, "error": str(error)})
        except BaseException as error:
            # A bug or an interrupt: nobody saw how far the call came.
            with suppress(LedgerError):
                self._settle(Kind.CALL_UNKNOWN, tool, call, {"error": type(error).__name__})
            raise
        held = reservation.request.held | reservation.request.taking
        return self._commit(tool, returned(call, result, held), _summary(result))

    def _reserve(
        self, tool: ToolDefinition, entry: Entry, arguments: dict[str, Any]
    ) -> Reservation:
        """Decide the call; where a person must approve it, ask and decide again."""

        def build(held: Held, approved: CapabilitySet | None) -> AccessRequest:
            needs = needs_of(tool, held.capabilities, self._actor.grants)
            facts = {"tool": tool.facts, "approved": needs == approved}
            return request(self._actor, held, Act.TOOL, needs, **facts)

        approved: CapabilitySet | None = None
        while True:
            made = self._enforcement.reserve(self._actor, entry, partial(build, approved=approved))
            if made.decision.verdict is not Verdict.NEEDS_APPROVAL:
                return made
            # Asked again where the domain took more meanwhile: the call would do more than shown.
            if not self._approvals.given(tool.name, arguments, made):
                return made
            approved = made.request.needs

    def _refuse_unknown(self, wanted: ToolCall, call: str) -> ToolOutcome:
        """A tool nobody defined needs all three, so the rule refuses it; that is recorded."""
        # A model may write anything as a name; the ledger takes text.
        name = wanted.name[:64].encode("utf-8", "backslashreplace").decode("utf-8")
        facts = ToolFacts(name, _UNKNOWN, declared=False)
        entry = Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, name, call, body={"unknown": True})
        reservation = self._enforcement.reserve(
            self._actor,
            entry,
            lambda held: request(self._actor, held, Act.TOOL, frozenset(Capability), tool=facts),
        )
        known = ", ".join(sorted(self._tools)) or "none"
        text = (
            f"{name!r} is not one of this agent's tools, which are: {known}.\n"
            f"{explain(reservation.request, reservation.decision)}"
        )
        return refused(call, reservation, text)

    def _commit(
        self, tool: ToolDefinition, outcome: ToolOutcome, body: dict[str, Any]
    ) -> ToolOutcome:
        """Record that a call ended, once what it gave is kept."""
        call = outcome.call_id
        settle = partial(self._settle, Kind.CALL_COMMITTED, tool, call, body)
        self._keeping.returned(call, outcome.text, settle)
        return outcome

    def _settle(
        self,
        kind: Kind,
        tool: ToolDefinition,
        call: str,
        body: dict[str, Any],
        also: Sequence[Event] = (),
    ) -> None:
        self._enforcement.settle(self._actor, kind, call, tool.name, body, also)


class Needing(Protocol):
    """What of a tool says what a call of it uses."""

    @property
    def needs(self) -> CapabilitySet:
        """What it declares."""
        ...

    @property
    def takes_grants(self) -> bool:
        """It runs whatever it is given."""
        ...


def needs_of(tool: Needing, held: CapabilitySet, grants: CapabilitySet | None) -> CapabilitySet:
    """What a call really uses: a tool that takes grants runs with everything the session may do."""
    if not tool.takes_grants:
        return tool.needs
    return tool.needs | (held if grants is None else grants)


def call_id() -> str:
    """A new name for a call."""
    return new_id("call")


def _entry(tool: ToolDefinition, arguments: dict[str, Any], call: str) -> Entry:
    body = {
        "tool": tool.identity,
        "arguments": args.digest(arguments),
        "sizes": {name: len(args.canonical(value)) for name, value in arguments.items()},
    }
    return Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, tool.name, call, body=body)


def _summary(result: CallResult) -> dict[str, Any]:
    """What the ledger keeps of a result: how it ended and how large it was, never the content."""
    if result.error is not None:
        return {"ok": False, "error": result.error.code, "seconds": result.seconds}
    size = len(args.canonical(result.value))
    return {"ok": True, "bytes": size, "seconds": result.seconds}
