"""LiteLLM's errors as ours: one line that says what went wrong and what to do about it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trilemma.errors import ModelError

from .model import ModelRef

_LONGEST = 300

MEANINGS: Mapping[str, str] = {
    "AuthenticationError": "the provider does not accept the key; set {key}",
    "PermissionDeniedError": "the key may not use this model",
    "NotFoundError": "the provider does not know this model",
    "RateLimitError": "the provider's rate limit is reached; try again later",
    "PaymentRequiredError": "the account has no credit left",
    "BudgetExceededError": "the account has no credit left",
    "ContextWindowExceededError": "the conversation is longer than the model can read",
    "ContentPolicyViolationError": "the provider's content policy refused the conversation",
    "GuardrailRaisedException": "a guardrail on the way refused the conversation",
    "BlockedPiiEntityError": "a guardrail on the way refused the conversation",
    "SensitiveDataRouteException": "a guardrail on the way refused the conversation",
    "ModifyResponseException": "a guardrail on the way replaced the answer",
    "RejectedRequestError": "the request was rejected before it was sent",
    "ImageFetchError": "only text goes to a model, but something asked for an image",
    "LiteLLMUnknownProvider": "LiteLLM does not know the provider",
    "ModelNotMappedError": "LiteLLM does not know the model",
    "UnsupportedParamsError": "the model cannot do what was asked of it, such as calling tools",
    "BadRequestError": "the provider found the request wrong",
    "UnprocessableEntityError": "the provider found the request wrong",
    "Timeout": "the provider did not answer in time",
    "APIConnectionError": "the provider cannot be reached",
    "ServiceUnavailableError": "the provider is not available; try again later",
    "BadGatewayError": "the provider is not available; try again later",
    "MidStreamFallbackError": "the answer broke off in the middle",
    "InternalServerError": "the provider failed",
    "APIResponseValidationError": "the provider's answer makes no sense",
    "APIError": "the provider failed",
    "OpenAIError": "the provider failed",
}
"""By the name of the class; a class that is not here means what its nearest base means."""

_STATUS: Mapping[int, str] = {
    402: "PaymentRequiredError",
    403: "PermissionDeniedError",
    422: "UnprocessableEntityError",
}
"""Where LiteLLM's class says less than the status of the answer."""


@contextmanager
def translated(ref: ModelRef) -> Iterator[None]:
    """Turn whatever is raised inside into a ``ModelError`` about this model.

    Raises:
        ModelError: for every exception; one of Trilemma's own gets the model's name.

    """
    try:
        yield
    except ModelError as error:
        raise ModelError(f"model {ref.name!r}: {error}") from error.__cause__
    except Exception as error:
        raise ModelError(describe(ref, error)) from error


def describe(ref: ModelRef, error: Exception) -> str:
    """One line about a foreign error."""
    provider = ref.name.partition("/")[0]
    known = meaning(type(error), getattr(error, "status_code", 0)) or "the call failed"
    key = f"{provider.upper()}_API_KEY"
    return f"model {ref.name!r}: {known.format(key=key)} ({_detail(error)})"


def meaning(kind: type[BaseException], status: int = 0) -> str | None:
    """What a class of foreign errors means; None where nobody has said so."""
    said_by_status = _STATUS.get(status)
    names = [said_by_status] if said_by_status else [base.__name__ for base in kind.__mro__]
    return next((MEANINGS[name] for name in names if name in MEANINGS), None)


def _detail(error: Exception) -> str:
    """The foreign text, on one line, short, and without any secret of the environment."""
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", str(error)).strip() or type(error).__name__
    for name, value in os.environ.items():
        if name.endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")) and len(value) >= 8:
            text = text.replace(value, "***")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
