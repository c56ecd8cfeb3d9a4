"""The same Rego tests by the reference engine, where its program is installed."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from trilemma.errors import PolicyError

from .testing import Fate, Suite

_SECONDS = 120


def run_opa(opa: str, suite: Suite, regal: str | None = None) -> dict[str, Fate]:
    """How each test ends under ``opa test``. The files must also pass the strict checks.

    Raises:
        PolicyError: a check complains, or the program gives no result.

    """
    with TemporaryDirectory() as place:
        root = Path(place)
        for path, text in {**suite.bundle.modules, **suite.tests}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        (root / "data.json").write_text(suite.bundle.data_json, encoding="utf-8")
        _checked(opa, "check", "--strict", place)
        if regal is not None:
            _checked(regal, "lint", place)
        done = _call(opa, "test", "--format", "json", place)
    ended = _read(done)
    return {name: fate for name, fate in ended.items() if name in suite.names}


def disagreements(here: dict[str, Fate], there: dict[str, Fate]) -> list[str]:
    """Tests that do not pass in both engines or in neither; one that did not run disagrees."""
    names = sorted(here.keys() | there.keys())
    return [n for n in names if n not in here or n not in there or here[n] != there[n]]


def _read(done: subprocess.CompletedProcess[str]) -> dict[str, Fate]:
    try:
        return {
            f"{test['package']}.{test['name']}": _fate(test) for test in json.loads(done.stdout)
        }
    except (ValueError, TypeError, KeyError):
        raise PolicyError(f"opa test gave no result: {(done.stdout + done.stderr)[:500]}") from None


def _fate(test: dict[str, object]) -> Fate:
    if test.get("error") is not None:
        return Fate.ERROR
    return Fate.FAIL if test.get("fail") or test.get("skip") else Fate.PASS


def _checked(*command: str) -> None:
    done = _call(*command)
    if done.returncode:
        raise PolicyError(f"{command[0]} {command[1]}: {(done.stdout + done.stderr).strip()}")


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PolicyError(f"{command[0]} did not run: {error}") from None
