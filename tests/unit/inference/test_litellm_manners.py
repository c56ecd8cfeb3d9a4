"""What LiteLLM does by itself: nothing over the network, nothing on the terminal."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")

from trilemma.errors import ModelError
from trilemma.inference.foreign import describe, meaning, translated
from trilemma.inference.model import ModelRef

REF = ModelRef("openai/gpt-4o", "openai", inside=False)

_LOAD = """
import socket, sys
def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("NETWORK", event, arguments, file=sys.stderr)
sys.addaudithook(audit)
{load}
import os
print(os.environ.get("PLANTED", "not read"))
"""


def _loaded(load: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # Not even the litter of this machine's own settings may be what keeps it quiet.
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(
        [sys.executable, "-c", _LOAD.format(load=load)],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.slow
def test_loading_it_reaches_nothing_and_says_nothing(tmp_path: Path) -> None:
    ours = _loaded("from trilemma.inference.litellm import _load; _load()", tmp_path)
    assert ours.stderr == ""
    assert ours.stdout.strip() == "not read"


@pytest.mark.slow
def test_loading_it_bare_reaches_for_the_network(tmp_path: Path) -> None:
    """The twin: without our loading, the network is asked for a list of prices."""
    assert "NETWORK" in _loaded("import litellm", tmp_path).stderr


def test_every_exception_of_litellm_has_a_meaning() -> None:
    import litellm.exceptions

    found = [
        kind
        for _, kind in inspect.getmembers(litellm.exceptions, inspect.isclass)
        if issubclass(kind, BaseException)
    ]
    assert len(found) > 20
    assert [kind for kind in found if meaning(kind) is None] == []


def test_any_exception_becomes_a_model_error_that_names_the_model() -> None:
    with (
        pytest.raises(ModelError, match=r"^model 'openai/gpt-4o': the call failed \('boom'\)$"),
        translated(REF),
    ):
        raise KeyError("boom") from None


def test_a_foreign_text_is_one_short_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789")
    line = describe(REF, ValueError("a\n\x1b[31mb sk-0123456789 " + "x" * 9_000))
    assert line.isprintable()
    assert len(line) < 400
    assert "sk-0123456789" not in line
