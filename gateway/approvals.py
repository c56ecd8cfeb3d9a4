"""Asking a person about one exact act, and recording what they said."""

import logging
from typing import Any

from . import arguments as args
from .enforcement import Actor, Enforcement
from .interface import ApprovalQuestion, Approve
from .ledger.events import Event, Kind
from .ledger.store import Reservation

_log = logging.getLogger(__name__)


class Approvals:
    """The questions of one session. Safe to use from several threads."""

    def __init__(self, enforcement: Enforcement, actor: Actor, approve: Approve | None) -> None:
        self._enforcement = enforcement
        self._actor = actor
        self._approve = approve
        self._asking: dict[str, ApprovalQuestion] = {}
        self._withdrawn: set[str] = set()
        self._closed = False

    def given(self, name: str, arguments: dict[str, Any], first: Reservation) -> bool:
        """Whether a person approves this very call of ``name``; it is recorded either way."""
        call = first.recorded.event.call
        question = ApprovalQuestion(
            session=self._actor.session,
            call=call,
            tool=name,
            arguments=args.canonical(arguments),
            takes=first.request.taking - first.request.held,
        )
        self._asking[call] = question
        given = self._answer(question)
        del self._asking[call]
        kind = Kind.APPROVAL_GIVEN if given else Kind.APPROVAL_REFUSED
        body = {"arguments": args.digest(arguments), "asked": self._approve is not None}
        self._enforcement.record(self._actor, Event(kind=kind, call=call, what=name, body=body))
        return given

    def withdraw(self, call: str) -> None:
        """Nobody waits for the call any more: a person need not answer."""
        self._withdrawn.add(call)
        question = self._asking.get(call)
        if question is not None:
            question.withdrawn.set()

    def close(self) -> None:
        """The session ends: no person is asked about any call of it any more."""
        self._closed = True
        for call in list(self._asking):
            self.withdraw(call)

    def _answer(self, question: ApprovalQuestion) -> bool:
        """The person's answer. Only a clear yes is one."""
        # Looked at after the question is on the list, so that no withdrawal is missed.
        if self._approve is None or self._closed or question.call in self._withdrawn:
            return False
        try:
            return self._approve(question) is True
        except Exception:
            _log.exception("asking for approval of %s failed; it is refused", question.tool)
            return False
