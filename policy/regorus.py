"""The in-process policy engine: Regorus, one per thread, spoken to in JSON only."""

import json
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

import regorus  # type: ignore[import-untyped]

from trilemma.errors import PolicyError, SpecError

from .bundle import ORGANISATION, PLACEHOLDER, Bundle
from .engine import ENTRYPOINT, EngineAnswer, read_answer

MAX_FACTS = 8192
"""Bytes of facts. Larger ones are not judged: the binding has no time limit of its own."""
MAX_SECONDS = 2.0
"""CPU time of one evaluation. An answer that took longer is not used."""

_UNDEFINED = '"<undefined>"'
_ENGINES_PER_THREAD = 8

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

# An engine may be used, and even dropped, only in the thread that made it. Engines therefore
# belong to threads and not to the objects that use them; the digest says which policy one holds.
_local = threading.local()


class RegorusEngine:
    """Evaluates a bundle in this process. Safe to use from many threads."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the bundle once, so that a broken one is refused here.

        Raises:
            SpecError: it does not load.

        """
        self._bundle = bundle
        self._digest = bundle.digest
        _load(bundle)

    @property
    def digest(self) -> str:
        """Digest of the policy: ``sha256:...``."""
        return self._digest

    def evaluate(self, facts: Mapping[str, Any]) -> EngineAnswer:
        """Judge the facts of one act.

        Raises:
            PolicyError: there is no answer, or none that can be relied on.

        """
        question = _question(facts)
        started = time.thread_time()
        document = self._ask(question)
        if time.thread_time() - started > MAX_SECONDS:
            raise PolicyError(f"the policy took more than {MAX_SECONDS} s of CPU time to answer")
        return read_answer(document)

    def _ask(self, question: str) -> Any:
        engine = self._engine_of_this_thread()
        try:
            engine.set_input_json(question)
            return json.loads(engine.eval_rule_as_json(ENTRYPOINT))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is not an Exception
            _engines().pop(self._digest, None)
            raise PolicyError(f"the policy engine failed: {_clean(error)}") from None

    def _engine_of_this_thread(self) -> regorus.Engine:
        engines = _engines()
        engine = engines.get(self._digest)
        if engine is None:
            while len(engines) >= _ENGINES_PER_THREAD:
                engines.pop(next(iter(engines)))
            engine = engines[self._digest] = _load(self._bundle)
        return engine


def check_organisation(bundle: Bundle, added: Mapping[str, str]) -> None:
    """Refuse an organisation's modules that reach outside their package or refuse nothing.

    Raises:
        SpecError: which file, and why.

    """
    for path, text in added.items():
        (package,) = _load(Bundle({path: text}, {})).get_packages()
        if package != f"data.{ORGANISATION}" and not package.startswith(f"data.{ORGANISATION}."):
            raise SpecError(
                f"{path}: package {package.removeprefix('data.')!r} is not yours to write; "
                f"begin the file with 'package {ORGANISATION}'"
            )
    if _trial(bundle.without(PLACEHOLDER), f"data.{ORGANISATION}.deny") == _UNDEFINED:
        raise SpecError(
            f"the organisation's policy refuses nothing: no file of {', '.join(added)} "
            'says: deny contains "some_code" if ...'
        )
    _trial(bundle, ENTRYPOINT)


def _trial(bundle: Bundle, rule: str) -> str:
    engine = _load(bundle)
    try:
        engine.set_input_json("{}")
        return str(engine.eval_rule_as_json(rule))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is not an Exception
        raise SpecError(f"the organisation's policy does not work: {_clean(error)}") from None


def _question(facts: Mapping[str, Any]) -> str:
    try:
        text = _encode(facts)
        size = len(text.encode("utf-8"))  # refuses lone surrogates
    except (TypeError, ValueError, RecursionError) as error:
        raise PolicyError(f"the facts are not plain data: {error}") from None
    if size > MAX_FACTS:
        raise PolicyError(f"the facts are {size} bytes; at most {MAX_FACTS} are judged")
    return text


def _engines() -> dict[str, regorus.Engine]:
    if not hasattr(_local, "engines"):
        _local.engines = {}
    engines: dict[str, regorus.Engine] = _local.engines
    return engines


def _load(bundle: Bundle) -> regorus.Engine:
    engine = regorus.Engine()
    try:
        for path, text in sorted(bundle.modules.items()):
            engine.add_policy(path, text)
        engine.add_data_json(bundle.data_json)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is not an Exception
        raise SpecError(f"the policy does not load: {_clean(error)}") from None
    return engine


def _clean(error: BaseException) -> str:
    """One line of an engine's many: the place and the complaint."""
    text = str(error)
    place = re.search(r"--> (\S+)", text)
    complaint = re.search(r"^error: (.*)$", text, re.MULTILINE)
    if place and complaint:
        return f"{place[1]}: {complaint[1]}"
    return " ".join(text.partition("Stack backtrace")[0].split())[:300] or type(error).__name__
