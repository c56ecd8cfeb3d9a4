"""Loads Rego into an engine, and makes one line of what an engine complains about."""

import re
from collections.abc import Mapping

import regorus  # type: ignore[import-untyped]

from trilemma.errors import SpecError


def load(modules: Mapping[str, str], data_json: str = "{}") -> regorus.Engine:
    """A fresh engine with these modules and data. It belongs to the calling thread.

    Raises:
        SpecError: they do not load.

    """
    engine = regorus.Engine()
    try:
        for path, text in sorted(modules.items()):
            engine.add_policy(path, text)
        engine.add_data_json(data_json)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is not an Exception
        raise SpecError(f"the policy does not load: {complaint(error)}") from None
    return engine


def complaint(error: BaseException) -> str:
    """One line of an engine's many: the place and what is wrong there."""
    text = str(error)
    place = re.search(r"--> (\S+)", text)
    wrong = re.search(r"^error: (.*)$", text, re.MULTILINE)
    if place and wrong:
        return f"{place[1]}: {wrong[1]}"
    return " ".join(text.partition("Stack backtrace")[0].split())[:300] or type(error).__name__
