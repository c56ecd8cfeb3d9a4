"""Model calls: an exit like any other, decided and recorded before a byte goes out."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from trilemma.errors import Denied

from ..inference.messages import CallIdentity, FunctionTool, Message, Reply
from ..inference.model import Model
from ..policy.capability import NONE, Capability, CapabilitySet, show
from ..policy.explain import explain
from ..policy.request import Act, ModelFacts
from ..subagents.budget import Purse
from .enforcement import Actor, Enforcement, Entry, new_id, request
from .lasting import in_thread, to_its_end
from .ledger.events import Event, Kind
from .runs.log import NOT_KEPT, Keeping


def model_needs(facts: ModelFacts) -> CapabilitySet:
    """A call to an outside model without a contract is itself use of the internet."""
    return NONE if facts.inside or facts.under_contract else frozenset({Capability.INTERNET})


class ModelCalls:
    """The calls of one session to its one model."""

    def __init__(
        self,
        enforcement: Enforcement,
        actor: Actor,
        model: Model,
        under_contract: bool,
        identity: CallIdentity,
    ) -> None:
        self._enforcement = enforcement
        self._actor = actor
        self._model = model
        self._identity = identity
        ref = model.ref
        self._facts = ModelFacts(ref.provider, ref.inside, under_contract)

    @property
    def model(self) -> Model:
        """The model that is called."""
        return self._model

    @property
    def needs(self) -> CapabilitySet:
        """A call to an outside model without a contract is itself use of the internet."""
        return model_needs(self._facts)

    @property
    def caches(self) -> bool:
        """Whether a prefix that the model has read once is cheap to read again."""
        return self._model.ref.inside and self._model.ref.caches

    def check(self) -> None:
        """Refuse a session whose grants could never allow its first model call.

        Raises:
            Denied: with the line to add to the operator's policy.
        """
        grants = self._actor.grants
        if grants is None or self.needs <= grants:
            return
        raise Denied(
            f"model {self._model.ref.name!r} runs outside the trust boundary, so calling it takes "
            f"{show(self.needs)}, and this agent's grants are {show(grants)}. If a contract lets "
            f"{self._facts.provider} see this data, add to the operator's policy:\n"
            f"providers:\n  under_contract: [{self._facts.provider}]",
            reasons=("outside_model_without_internet",),
        )

    async def call(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        on_text: Callable[[str], None] | None,
        purse: Purse,
        keeping: Keeping = NOT_KEPT,
        max_tokens: int | None = None,
    ) -> Reply:
        """Ask the model, and pay for it.

        Raises:
            LimitReached: the purse, or one above it, has nothing left.
            Denied: the context may not go there.
            ModelError: the model failed.
        """
        purse.begin_step()
        call = new_id("model")
        reserving = in_thread(self._begin, call, messages, keeping)
        try:
            await to_its_end(reserving)
            reply = await self._model.complete(
                messages,
                tools,
                identity=self._identity,
                max_tokens=max_tokens,
                on_text=on_text,
            )
        except BaseException as error:
            if reserving.exception() is None:
                ended = {"error": str(error) or type(error).__name__}
                await to_its_end(in_thread(self._settle, call, ended))
            raise
        usage = reply.usage
        purse.charge(usage)
        body = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "usd": round(usage.cost_usd, 8),
        }
        settle = partial(self._settle, call, body)
        await to_its_end(in_thread(keeping.replied, reply, settle))
        return reply

    def _begin(self, call: str, messages: Sequence[Message], keeping: Keeping) -> None:
        keeping.asked(messages)
        self._reserve(call)

    def _reserve(self, call: str) -> None:
        name = self._model.ref.name
        entry = Entry(Kind.MODEL_RESERVED, Kind.MODEL_DENIED, f"model {name}", call)
        reservation = self._enforcement.reserve(
            self._actor,
            entry,
            lambda held: request(self._actor, held, Act.MODEL, self.needs, model=self._facts),
        )
        decision = reservation.decision
        if not decision.allowed:
            raise Denied(
                explain(reservation.request, decision), reasons=decision.reasons, call=call
            )

    def _settle(self, call: str, body: dict[str, Any], also: Sequence[Event] = ()) -> None:
        what = f"model {self._model.ref.name}"
        self._enforcement.settle(self._actor, Kind.MODEL_COMMITTED, call, what, body, also)
