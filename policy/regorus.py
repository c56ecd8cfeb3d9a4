"""The in-process policy engine: Regorus, one per thread, spoken to in JSON only."""

import json
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import regorus  # type: ignore[import-untyped]

from trilemma.errors import PolicyError

from .bundle import Bundle
from .engine import ENTRYPOINT, EngineAnswer, read_answer
from .loading import complaint, load

MAX_FACTS = 8192
"""Bytes of facts. Larger ones are not judged: the binding has no time limit of its own."""
MAX_SECONDS = 2.0
"""CPU time of one evaluation. An answer that took longer is not used."""

_ENGINES_PER_THREAD = 8
_REMEMBERED = 1024
"""Verdicts an engine remembers. The calls of one session mostly ask the same questions."""

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
        self._digest = bundle.digest
        self._modules = dict(bundle.modules)
        self._data = bundle.data_json
        load(self._modules, self._data)
        # A policy sees nothing but its question, so a question that was answered is answered.
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._judge)

    @property
    def digest(self) -> str:
        """Digest of the policy: ``sha256:...``."""
        return self._digest

    def evaluate(self, facts: Mapping[str, Any]) -> EngineAnswer:
        """Judge the facts of one act.

        Raises:
            PolicyError: there is no answer, or none that can be relied on.

        """
        return self._remembered(_question(facts))

    def _judge(self, question: str) -> EngineAnswer:
        started = time.thread_time()
        document = self._ask(question)
        if time.thread_time() - started > MAX_SECONDS:
            raise PolicyError(f"the policy took more than {MAX_SECONDS} s of CPU time to answer")
        return read_answer(document)

    def _ask(self, question: str) -> Any:
        try:
            engine = self._engine_of_this_thread()
            engine.set_input_json(question)
            return json.loads(engine.eval_rule_as_json(ENTRYPOINT))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is not an Exception
            _engines().pop(self._digest, None)
            raise PolicyError(f"the policy engine failed: {complaint(error)}") from None

    def _engine_of_this_thread(self) -> regorus.Engine:
        engines = _engines()
        engine = engines.get(self._digest)
        if engine is None:
            while len(engines) >= _ENGINES_PER_THREAD:
                engines.pop(next(iter(engines)))
            engine = engines[self._digest] = load(self._modules, self._data)
        return engine


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
