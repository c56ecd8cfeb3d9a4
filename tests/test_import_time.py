"""``import trilemma`` stays light: what is heavy is loaded by the part that needs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "docker",
    "fastapi",
    "httpx",
    "jsonschema",
    "litellm",
    "mcp",
    "pydantic",
    "regorus",
    "requests",
    "rich",
    "sqlalchemy",
    "torch",
    "typer",
    "uvicorn",
    "yaml",
}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running some code."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_trilemma_loads_nothing_heavy() -> None:
    assert not loaded_by("import trilemma") & HEAVY


def test_declaring_a_tool_and_an_agent_class_loads_nothing_heavy() -> None:
    assert not loaded_by("from trilemma import Agent, Denied, tool") & HEAVY


@pytest.mark.parametrize("module", ["trilemma.policy.rule", "trilemma.sandbox.spec"])
def test_the_words_load_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


def test_importing_prints_nothing_and_makes_no_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", "import trilemma"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout == done.stderr == b""
    assert not list(tmp_path.iterdir())
