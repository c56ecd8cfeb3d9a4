"""The demo, for real: servers, containers, ledger and the half without a gate."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trilemma.demo import gate_off, gate_on, main
from trilemma.demo.place import Place
from trilemma.demo.story import Story
from trilemma.gateway.schemas import AgentSpec
from trilemma.policy.hostrule import HostRule

pytestmark = pytest.mark.docker

ATTACKS = 10


@dataclass(frozen=True)
class Shown:
    """A demo that was run by its command."""

    done: subprocess.CompletedProcess[str]
    temporary: Path
    picture: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, base_image: str, code_image: str) -> Shown:
    """One run for several questions: it takes seconds."""
    temporary = tmp_path_factory.mktemp("demo")
    picture = tmp_path_factory.mktemp("picture") / "demo.svg"
    environment = {**os.environ, "TMPDIR": str(temporary), "COLUMNS": "100"}
    words = [sys.executable, "-m", "trilemma", "demo", "--svg", str(picture)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return Shown(done, temporary, picture)


def containers() -> list[str]:
    listed = ["docker", "ps", "--all", "--filter", "name=gate-off-", "--quiet"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def test_nothing_arrives_with_the_gate_and_all_of_it_without(shown: Shown) -> None:
    assert shown.done.returncode == 0, shown.done.stdout + shown.done.stderr
    text = shown.done.stdout
    assert "with the gate 0,  without 8" in text
    assert "the model obeyed 18 of 18 orders" in text
    for layer in ("the rule", "list of hosts", "byte budget", "execve lock", "openat2", "layer"):
        assert layer in text, layer
    assert "the report is whole" in text
    on, _, off = text.partition("without Trilemma")
    assert len(re.findall(r"\bno +$", on, flags=re.MULTILINE)) == ATTACKS
    assert len(re.findall(r"✗ .*(arrived|is not what it was) *$", off, flags=re.M)) == ATTACKS
    assert "none holds three" in off


def test_it_leaves_a_picture_that_fetches_nothing(shown: Shown) -> None:
    text = shown.picture.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "url(" not in text.replace("url(#", "")


def test_it_leaves_nothing_else(shown: Shown) -> None:
    assert not list(shown.temporary.iterdir())
    assert not containers()
    assert str(shown.temporary) not in Path("/proc/self/mounts").read_text()


@pytest.mark.usefixtures("base_image", "code_image")
def test_it_fails_where_a_secret_arrives_and_where_none_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own twin: the attacker is put on the list, and the half without a gate does nothing."""
    lawful = gate_on.agent

    def careless(place: Place, image: str) -> AgentSpec:
        spec = lawful(place, image)
        ports = (place.attacker.port,)
        host = HostRule(
            host=place.attacker.name, ports=ports, schemes=("http",), methods=("GET", "POST")
        )
        return spec.model_copy(update={"hosts": (*(spec.hosts or ()), host)})

    def idle(place: Place, image: str, show: object) -> Story:
        return Story(place.mailbox)

    monkeypatch.setattr(gate_on, "agent", careless)
    monkeypatch.setattr(gate_off, "run", idle)
    assert main([]) == 1
    shown = capsys.readouterr().out
    assert "an attack succeeded" in shown
    assert "harmless even without the gate" in shown
