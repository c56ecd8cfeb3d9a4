"""What is imported before the tool host is locked: nothing that lies in an image runs."""

import subprocess
import sys
from pathlib import Path

import pytest

BEFORE_THE_LOCK = """
from trilemma.sandbox.toolhost import preload
from trilemma.sandbox.toolhost.settings import Module, Settings
{weaken}
tool = Module("tool", "import unittest.__main__, rlcompleter, json")
print(preload.preload(Settings("never", "none", "none", 1000, 1000, (tool,))))
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The root of an image, which is the tool host's folder."""
    (tmp_path / "test_planted.py").write_text("open('canary', 'w')\n")
    return tmp_path


def imported(image: Path, weaken: str = "") -> str:
    """What a tool host could not import for its tool; it ends if that ends it."""
    start = [sys.executable, "-I", "-c", BEFORE_THE_LOCK.format(weaken=weaken)]
    return subprocess.run(start, cwd=image, capture_output=True, text=True, check=True).stdout


def test_a_tool_that_names_a_program_does_not_run_what_lies_in_the_image(image: Path) -> None:
    assert imported(image) == "['rlcompleter', 'unittest.__main__']\n"
    assert not (image / "canary").exists()


def test_twin_where_programs_are_imported_the_image_runs_before_the_lock(image: Path) -> None:
    imported(image, "preload._EFFECTS = frozenset()")
    assert (image / "canary").exists()
