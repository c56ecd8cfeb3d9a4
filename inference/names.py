"""From a model's name, as people write it, to the model."""

from importlib.util import find_spec

from trilemma.errors import ModelError, SpecError

from .gullible import GullibleModel
from .model import Model, ModelRef
from .providers import check_model, check_provider, reached

_BUILT_IN = GullibleModel.ref.name


def model_ref(name: str) -> ModelRef:
    """Which model a name means and where it runs. Loads nothing and reaches nothing.

    ``gullible`` is built in. Everything else is ``provider/model`` and runs outside, also where
    the server happens to be on this machine: nothing shows yet that it has no way out.

    Raises:
        SpecError: the name means no model that may be called.

    """
    if name == _BUILT_IN:
        return GullibleModel.ref
    provider, slash, model = name.partition("/")
    if not slash or not provider or not model.strip() or name != name.strip():
        raise SpecError(
            f"unknown model {name!r}; write {_BUILT_IN!r} or provider/model, "
            "such as 'anthropic/claude-sonnet-4-5'"
        )
    check_provider(provider, name)
    check_model(model, name)
    return ModelRef(name, reached(provider), inside=False)


def resolve_model(name: str) -> Model:
    """The model behind a name.

    Raises:
        SpecError: the name means no model that may be called.
        ModelError: what it needs is not installed.

    """
    ref = model_ref(name)
    if ref == GullibleModel.ref:
        return GullibleModel()
    if find_spec("litellm") is None:
        raise ModelError(f"model {name!r} needs LiteLLM: pip install 'trilemma[models]'")
    from .litellm import LiteLLMModel

    return LiteLLMModel(ref)
