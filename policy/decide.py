"""The decision point: the policy engine's answer, and over it the rule that no policy lifts."""

import logging

from .capability import ALL, Capability
from .decision import Decision, Verdict
from .delegating import delegation_breaks
from .engine import EngineAnswer, PolicyEngine
from .reasons import Reason
from .request import AccessRequest, Act
from .rule import violation

_log = logging.getLogger(__name__)

_NO_ANSWER = EngineAnswer(allow=False, approval=False, reasons=(Reason.POLICY_ERROR,))


class DecisionPoint:
    """Decides requests. Its answer depends on the request and the policy alone."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine
        self._digest = engine.digest

    @property
    def digest(self) -> str:
        """Digest of the policy that decides: ``sha256:...``."""
        return self._digest

    def decide(self, request: AccessRequest) -> Decision:
        """Decide one act. Never raises for a failing engine: that is a denial."""
        answer = self._ask(request)
        broken = hard_rule(request)
        return Decision(
            verdict=_verdict(answer, broken),
            reasons=tuple(sorted({str(r) for r in answer.reasons} | broken)),
            digest=self._digest,
            taking=request.taking,
            cause=request.cause,
        )

    def _ask(self, request: AccessRequest) -> EngineAnswer:
        try:
            answer: object = self._engine.evaluate(request.facts())
        except Exception:
            _log.exception("the policy engine failed; the %s request is denied", request.act)
            return _NO_ANSWER
        return answer if isinstance(answer, EngineAnswer) else _NO_ANSWER


def hard_rule(request: AccessRequest) -> frozenset[str]:
    """What the act would break whatever the policy says. Empty where it breaks nothing."""
    broken: set[str] = set()
    taking = request.taking
    if request.tool is not None and request.tool.declared is not True:
        broken.add(str(Reason.UNDECLARED_TOOL))
        taking = ALL
    found = violation(request.held, taking, request.grants, request.share)
    if found is not None:
        broken.add(str(found))
    if request.act is Act.DELEGATION:
        broken |= delegation_breaks(request)
    if request.act is Act.MODEL and not _model_may_be_called(request):
        broken.add(str(Reason.OUTSIDE_MODEL_WITHOUT_INTERNET))
    return frozenset(broken)


def _model_may_be_called(request: AccessRequest) -> bool:
    if Capability.INTERNET in request.needs:
        return True
    model = request.model
    return model is not None and (model.inside is True or model.under_contract is True)


def _verdict(answer: EngineAnswer, broken: frozenset[str]) -> Verdict:
    if broken:
        return Verdict.DENY
    if answer.allow is True and answer.approval is False and not answer.reasons:
        return Verdict.ALLOW
    if answer.approval is True and answer.allow is False:
        return Verdict.NEEDS_APPROVAL
    return Verdict.DENY
