"""Runs the Rego tests that lie beside the rules, in process, and says which lines they reach."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import regorus  # type: ignore[import-untyped]

from trilemma.errors import SpecError

from .bundle import Bundle
from .loading import load
from .organisation import PACKAGE

_SHIPPED = Path(__file__).resolve().parent / "rego"


class Fate(StrEnum):
    """How one test ended."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Suite:
    """Rego tests with the policy that they test."""

    bundle: Bundle
    tests: Mapping[str, str]
    """Text of the test files by path."""
    tested: frozenset[str]
    """Paths of the modules whose lines count."""

    @property
    def names(self) -> list[str]:
        """Each test rule once, such as ``data.trilemma.grants_test.test_x``."""
        return list(dict.fromkeys(n for p, t in sorted(self.tests.items()) for n in _names(p, t)))


@dataclass(frozen=True, slots=True)
class Report:
    """How the tests of a suite ended, and what they reach."""

    fates: Mapping[str, Fate]
    missed: Mapping[str, list[int]]
    """Lines that no test reaches, by module. Modules without any are left out."""
    covered: int
    total: int

    @property
    def percent(self) -> float:
        """Part of the lines with code that some test reaches."""
        return 100 * self.covered / self.total if self.total else 100.0


def read_suite(folder: Path | None = None) -> Suite:
    """The tests of the base policy, or those in an organisation's folder with the base below it.

    Raises:
        SpecError: the folder cannot be used, or holds no test.

    """
    bundle = Bundle.base()
    if folder is None:
        root, prefix, tested = _SHIPPED, "base", frozenset(bundle.modules)
    else:
        bundle = bundle.with_directory(folder)
        root, prefix = folder, PACKAGE
        tested = frozenset(bundle.modules) - frozenset(Bundle.base().modules)
    files = {f"{prefix}/{f.relative_to(root).as_posix()}": f for f in root.rglob("*_test.rego")}
    beside = {str(Path(path).parent) for path in tested}
    tests = {p: f.read_text(encoding="utf-8") for p, f in files.items() if _parent(p) in beside}
    suite = Suite(bundle, tests, tested)
    if not suite.names:
        raise SpecError(f"no Rego test lies in {str(root)!r}; write test_... in a *_test.rego file")
    return suite


def run_suite(suite: Suite) -> Report:
    """Run every test. One that is undefined or not true fails.

    Raises:
        SpecError: the files do not load.

    """
    engine = load({**suite.bundle.modules, **suite.tests}, suite.bundle.data_json)
    engine.set_enable_coverage(True)
    fates = {name: _run(engine, name) for name in suite.names}
    reached = _lines(engine, "covered")
    code = _code(suite)
    missed = {path: gap for path in suite.tested if (gap := sorted(code[path] - reached[path]))}
    total = sum(len(code[path]) for path in suite.tested)
    return Report(fates, missed, total - sum(map(len, missed.values())), total)


def _code(suite: Suite) -> dict[str, set[int]]:
    """All lines with code. The engine counts no module that was never asked, so each is asked."""
    engine = load(suite.bundle.modules, suite.bundle.data_json)
    engine.set_enable_coverage(True)
    engine.set_input_json("{}")
    for package in sorted(engine.get_packages()):
        engine.eval_query_as_json(package)
    covered, missed = _lines(engine, "covered"), _lines(engine, "not_covered")
    return defaultdict(set, {path: covered[path] | missed[path] for path in suite.tested})


def _lines(engine: regorus.Engine, kind: str) -> dict[str, set[int]]:
    files = json.loads(engine.get_coverage_report_as_json())["files"]
    return defaultdict(set, {file["path"]: set(file[kind]) for file in files})


def _run(engine: regorus.Engine, name: str) -> Fate:
    try:
        return Fate.PASS if json.loads(engine.eval_rule_as_json(name)) is True else Fate.FAIL
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic in Rust is not an Exception
        return Fate.ERROR


def _names(path: str, text: str) -> list[str]:
    package = re.search(r"^package (\S+)", text, re.MULTILINE)
    if package is None:
        raise SpecError(f"{path}: a test file begins with 'package NAME_test'")
    return [f"data.{package[1]}.{name}" for name in re.findall(r"^(test_\w+)", text, re.MULTILINE)]


def _parent(path: str) -> str:
    return str(Path(path).parent)
