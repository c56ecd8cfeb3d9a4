"""The watch over the disk: what runs is killed once it is over the limit, and told why."""

import subprocess
import threading
from pathlib import Path

import pytest

from trilemma.gateway.diskwatch import DiskWatch
from trilemma.gateway.workspaces.layers import Layer

KIB = 1024


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    (tmp_path / "upper").mkdir()
    return Layer(id="lay", workspace="w", folder="/f", session="s", begun=0, place=tmp_path)


def test_what_runs_over_the_limit_is_killed_and_the_next_refused(layer: Layer) -> None:
    watch = DiskWatch(layer.place, layer, 64 * KIB)
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
    watch = DiskWatch(layer.place, layer, 64 * KIB)
    killed = threading.Event()
    watch.begin("one", killed.set)
    assert watch.measure() <= 64 * KIB
    assert watch.end("one") is None
    assert not killed.is_set()


def test_many_empty_files_count_as_well(layer: Layer) -> None:
    for number in range(100):
        (layer.upper / str(number)).touch()
    assert DiskWatch(layer.place, layer, 0).measure() >= 100 * 4 * KIB


def test_a_layer_that_was_discarded_limits_nothing(layer: Layer) -> None:
    watch = DiskWatch(layer.place, layer, 0)
    layer.upper.rmdir()
    layer.place.rmdir()
    assert watch.measure() == 0
    assert watch.refusal() is None


@pytest.mark.root
@pytest.mark.parametrize(("free", "scarce"), [(2, True), (4, False)])
def test_nothing_is_written_to_a_disk_that_is_nearly_full(
    tmp_path: Path, free: int, scarce: bool
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)]
    subprocess.run(mount, check=True)
    try:
        (tmp_path / "filler").write_bytes(bytes((64 - free) * KIB * KIB))
        watch = DiskWatch(tmp_path, None, 0)
        assert (watch.refusal() is not None) is scarce
        killed = threading.Event()
        watch.begin("one", killed.set)
        assert killed.wait(10 if scarce else 0.1) is scarce
        assert (watch.end("one") is not None) is scarce
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
