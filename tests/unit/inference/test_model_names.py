import subprocess
import sys

import pytest

from trilemma.errors import SpecError
from trilemma.inference.gullible import GullibleModel
from trilemma.inference.model import ModelRef
from trilemma.inference.names import model_ref, resolve_model
from trilemma.inference.providers import PROVIDERS


@pytest.fixture(autouse=True)
def no_servers_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_BASE", "OLLAMA_API_BASE"):
        monkeypatch.delenv(name, raising=False)


def test_gullible_is_built_in_and_inside() -> None:
    assert model_ref("gullible") == ModelRef("gullible", "builtin", inside=True)
    assert isinstance(resolve_model("gullible"), GullibleModel)


def test_everything_else_is_outside() -> None:
    assert model_ref("openai/gpt-4o") == ModelRef("openai/gpt-4o", "openai", inside=False)
    assert not model_ref("ollama/llama3").inside
    assert not model_ref("hosted_vllm/meta-llama/Llama-3").inside


@pytest.mark.parametrize(
    "name",
    ["", "gpt-4o", "/gpt", "openai/", "openai/ ", " openai/x", "Gullible", "gullible/x", "a/b/c"],
)
def test_what_is_no_name_is_refused_with_the_value(name: str) -> None:
    with pytest.raises(SpecError, match="unknown model") as raised:
        model_ref(name)
    assert repr(name) in str(raised.value)


def test_a_misspelt_provider_gets_the_close_one() -> None:
    with pytest.raises(SpecError, match="did you mean 'anthropic'"):
        model_ref("antropic/claude-sonnet-4-5")


@pytest.mark.parametrize(
    "name",
    [
        "openai/gpt-4o-search-preview",
        "openai/o3-deep-research",
        "openrouter/openai/gpt-4o:online",
        "openrouter/perplexity/sonar-pro",
        "groq/compound-beta",
        "bedrock/agent/ABC/DEF",
        "perplexity/sonar",
        "langgraph/agent",
        "manus/manus-1",
        "auto_router/x",
    ],
)
def test_models_with_tools_of_their_provider_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"tools of its provider|unknown model provider"):
        model_ref(name)


def test_another_server_is_not_the_provider_that_is_under_contract(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:hush@models.example:8443/v1")
    assert model_ref("openai/gpt-4o").provider == "models.example:8443"
    monkeypatch.setenv("OPENAI_API_BASE", "https://models.example:8443/other")
    assert model_ref("openai/gpt-4o").provider == "models.example:8443"
    monkeypatch.setenv("OPENAI_API_BASE", "https://elsewhere.example")
    with pytest.raises(SpecError, match="OPENAI_API_BASE and OPENAI_BASE_URL name different"):
        model_ref("openai/gpt-4o")


def test_an_address_that_is_none_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "user:hush")
    with pytest.raises(SpecError, match="OPENAI_BASE_URL is not a URL") as raised:
        model_ref("openai/gpt-4o")
    assert "hush" not in str(raised.value)


def test_a_name_is_resolved_without_loading_litellm() -> None:
    code = (
        "import sys; from trilemma.inference.names import resolve_model\n"
        "print(resolve_model('anthropic/claude-sonnet-4-5').ref.provider, 'litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["anthropic", "False"]


def test_every_provider_is_known_to_litellm() -> None:
    litellm = pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")
    assert {str(provider.value) for provider in litellm.LlmProviders} >= PROVIDERS
