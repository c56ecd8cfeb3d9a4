"""``trilemma.__all__`` is the public face: sorted, complete and nothing else."""

import inspect
import pkgutil
import subprocess
import sys

import pytest

import trilemma
from trilemma import errors


def test_the_public_face_is_sorted_without_repeats() -> None:
    assert trilemma.__all__ == sorted(set(trilemma.__all__))


def test_every_name_of_the_public_face_is_there() -> None:
    for name in trilemma.__all__:
        assert getattr(trilemma, name) is not None


def test_nothing_public_is_left_out() -> None:
    modules = {module.name for module in pkgutil.iter_modules(trilemma.__path__)}
    borrowed = {"TYPE_CHECKING", "Any"}
    public = {name for name in vars(trilemma) if not name.startswith("_")}
    assert public - modules - borrowed <= set(trilemma.__all__)


def test_exported_errors_are_the_ones_of_the_errors_module() -> None:
    for name in trilemma.__all__:
        value = getattr(trilemma, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            assert value is getattr(errors, name)
            assert issubclass(value, errors.TrilemmaError)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'agents'$"):
        _ = trilemma.agents


def test_star_import_gives_the_public_face() -> None:
    code = (
        "from trilemma import *; import trilemma; "
        "assert set(trilemma.__all__) <= set(globals()), 'a name is missing'"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
