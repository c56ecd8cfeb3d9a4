"""The watch over a layer: what runs is killed once it is over the limit, and told why."""

import threading
from pathlib import Path

import pytest

from trilemma.gateway.layerwatch import LayerWatch
from trilemma.gateway.workspaces.layers import Layer

KIB = 1024


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    (tmp_path / "upper").mkdir()
    return Layer(id="lay", workspace="w", folder="/f", session="s", begun=0, place=tmp_path)


def test_what_runs_over_the_limit_is_killed_and_the_next_refused(layer: Layer) -> None:
    watch = LayerWatch(layer, 64 * KIB)
    assert watch.refusal() is None
    (layer.upper / "large").write_bytes(bytes(128 * KIB))
    killed = threading.Event()
    watch.begin("one", killed.set)
    assert killed.wait(10)
    ended = watch.end("one")
    assert ended is not None
    assert "'lay'" in ended
    assert watch.refusal() is not None


def test_within_the_limit_nothing_is_killed(layer: Layer) -> None:
    watch = LayerWatch(layer, 64 * KIB)
    killed = threading.Event()
    watch.begin("one", killed.set)
    assert watch.measure() <= 64 * KIB
    assert watch.end("one") is None
    assert not killed.is_set()


def test_many_empty_files_count_as_well(layer: Layer) -> None:
    for number in range(100):
        (layer.upper / str(number)).touch()
    assert LayerWatch(layer, 0).measure() >= 100 * 4 * KIB


def test_a_layer_that_was_discarded_limits_nothing(layer: Layer) -> None:
    watch = LayerWatch(layer, 0)
    layer.upper.rmdir()
    assert watch.measure() == 0
