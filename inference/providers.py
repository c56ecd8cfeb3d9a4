"""The outside providers that may be named, and whom a name really reaches."""

import difflib
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from trilemma.errors import SpecError

PROVIDERS = frozenset(
    {
        "anthropic",
        "azure",
        "azure_ai",
        "baseten",
        "bedrock",
        "cerebras",
        "cohere_chat",
        "dashscope",
        "databricks",
        "deepinfra",
        "deepseek",
        "fireworks_ai",
        "gemini",
        "groq",
        "hosted_vllm",
        "huggingface",
        "hyperbolic",
        "litellm_proxy",
        "llamafile",
        "lm_studio",
        "mistral",
        "moonshot",
        "nebius",
        "novita",
        "nvidia_nim",
        "ollama",
        "ollama_chat",
        "openai",
        "openrouter",
        "sambanova",
        "together_ai",
        "vertex_ai",
        "watsonx",
        "xai",
        "zai",
    }
)
"""Those that answer a conversation and nothing else. A provider that is an agent with tools of
its own is not among them: nobody granted those tools."""

_OWN_TOOLS = ("search", "sonar", "research", "computer-use", "compound", "agent", ":online")
"""Parts of names of models that search or run code at the provider."""

_MORE_BASES: Mapping[str, tuple[str, ...]] = {
    "bedrock": ("AWS_BEDROCK_RUNTIME_ENDPOINT",),
    "cohere_chat": ("COHERE_API_BASE",),
    "fireworks_ai": ("FIREWORKS_API_BASE",),
    "huggingface": ("HF_API_BASE",),
    "ollama_chat": ("OLLAMA_API_BASE",),
    "vertex_ai": ("VERTEXAI_API_BASE", "VERTEX_API_BASE"),
}


def check_provider(provider: str, name: str) -> None:
    """Refuse what is not a known provider.

    Raises:
        SpecError: with the closest known one.

    """
    if provider in PROVIDERS:
        return
    close = difflib.get_close_matches(provider, PROVIDERS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(PROVIDERS))}"
    raise SpecError(f"unknown model provider {provider!r} in {name!r}; {hint}")


def check_model(model: str, name: str) -> None:
    """Refuse a model that uses tools of its provider's: search and code that nobody granted.

    Raises:
        SpecError: it is one of those, as far as its name says.

    """
    for part in _OWN_TOOLS:
        if part in model.lower():
            raise SpecError(
                f"model {name!r} brings tools of its provider ({part.strip(':')!r} in its name), "
                "which are capabilities that nobody granted; name a plain chat model"
            )


def reached(provider: str) -> str:
    """Whom a call really reaches: the provider, or the server that the environment puts there.

    A contract with a provider says nothing about another server that speaks its language.

    Raises:
        SpecError: two variables name different servers, or one names none.

    """
    bases = {key: value for key in _base_variables(provider) if (value := os.environ.get(key))}
    servers = {key: _server(key, value) for key, value in bases.items()}
    if len(set(servers.values())) > 1:
        raise SpecError(f"{' and '.join(sorted(servers))} name different servers; unset one")
    return next(iter(servers.values()), provider)


def _base_variables(provider: str) -> tuple[str, ...]:
    prefix = provider.upper()
    more = _MORE_BASES.get(provider, ())
    return (f"{prefix}_API_BASE", f"{prefix}_BASE_URL", f"{prefix}_API_URL", *more)


def _server(key: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        # The value may hold a password, so it is not repeated.
        raise SpecError(f"{key} is not a URL with a host, such as https://models.example/v1")
    return host if port is None else f"{host}:{port}"
