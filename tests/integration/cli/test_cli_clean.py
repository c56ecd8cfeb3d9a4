"""``trilemma clean``: what it removes, what it leaves and names, and a person's word."""

import secrets
from collections.abc import Iterator

import pytest

from trilemma.sandbox.engine import Engine
from trilemma.sandbox.runtime import Instance

from .conftest import Cli

pytestmark = pytest.mark.docker

INSTANCE = "dev.trilemma.instance"


@pytest.fixture
def stranger(engine: Engine) -> Iterator[str]:
    """A gateway of another version, of which the engine has a volume."""
    name = f"v9:{secrets.token_hex(6)}"
    volume = f"trilemma-test-{secrets.token_hex(6)}"
    engine.create_volume(volume, {}, {INSTANCE: name})
    yield name
    engine.remove_volume(volume)


def test_a_gateway_that_cannot_be_judged_is_named_until_somebody_says_that_it_has_ended(
    cli: Cli, engine: Engine, stranger: str
) -> None:
    shown = cli("clean").out
    assert f"left alone: gateway {stranger}, of another machine" in shown
    assert f"trilemma clean --gone {stranger}" in shown
    assert engine.volumes(f"{INSTANCE}={stranger}")
    ended = cli("clean", "--gone", stranger)
    assert ended.status == 0
    assert stranger not in ended.out
    assert not engine.volumes(f"{INSTANCE}={stranger}")


def test_its_copies_of_folders_go_with_it(cli: Cli, stranger: str) -> None:
    copies = cli.home / "state/snapshots"
    copy = copies / stranger / "snap-1/files/notes.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text("canary")
    assert cli("clean").status == 0
    assert copy.exists()
    assert cli("clean", "--gone", stranger).status == 0
    assert list(copies.iterdir()) == []


def test_nobody_s_word_is_taken_for_a_gateway_that_runs(cli: Cli) -> None:
    ended = cli("clean", "--gone", str(Instance.current()))
    assert ended.status == 1
    assert "runs: end it first" in ended.line
