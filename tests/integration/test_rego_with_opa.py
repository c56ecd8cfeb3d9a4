"""The shipped policy under the engine its language comes from: it parses, checks and tests."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trilemma.policy.bundle import Bundle

REGO = Path(__file__).resolve().parents[2] / "policy" / "rego"

pytestmark = pytest.mark.opa


@pytest.fixture
def opa() -> str:
    found = shutil.which("opa")
    if found is None:
        assert os.environ.get("CI") != "true", "CI needs opa"
        pytest.skip("needs opa on the PATH")
    return found


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_opa_takes_the_policy_in_strict_mode(opa: str) -> None:
    run(opa, "check", "--strict", REGO)


def test_the_rego_tests_pass_under_opa(opa: str, tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps(dict(Bundle.base().data)))
    run(opa, "test", REGO, data)
