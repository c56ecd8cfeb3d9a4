"""What an engine's host adds to containers by itself, and how little of it is accepted."""

from dataclasses import replace

import pytest
from tests.unit.sandbox.test_verify import good, settings

from trilemma.sandbox.container import MASKED_PATHS
from trilemma.sandbox.evidence import Evidence
from trilemma.sandbox.proc import MountPoint
from trilemma.sandbox.profile import DEVICES
from trilemma.sandbox.verify import findings

ASKED = settings("code")


def following(target: str, kind: str = "devtmpfs", root: str = "/null") -> MountPoint:
    """Something of the host's that follows what is mounted there."""
    return MountPoint(target, kind, root, "0:6", frozenset({"rw"}), follows="2")


def remapped(*more: MountPoint) -> Evidence:
    """A sandbox of an engine that maps users, on a host whose mounts are shared."""
    evidence = good(ASKED)
    devices = [following(f"/dev{root}", root=root) for root in DEVICES]
    mounts = (*evidence.mounts, *devices, *more)
    return replace(evidence, mounts=mounts, security=frozenset({"seccomp", "userns"}))


def test_devices_and_masks_that_are_the_host_s_null_may_follow_it() -> None:
    files = (path for path in MASKED_PATHS if path != "/sys")  # A folder, with a rule of its own.
    assert list(findings(remapped(*map(following, files)), ASKED)) == []


STRAYS = [
    following("/run/trilemma"),
    following("/etc/hosts"),
    following("/proc/sys"),
    following("/proc/cmdline/more"),
    following("/proc/cmdline", root="/zero"),
    following("/proc/cmdline", root="/"),
    following("/proc/cmdline", root="/null/more"),
    following("/proc/cmdline", kind="tmpfs"),
    following("/proc/cmdline", kind="ext4"),
    following("/dev/null", root="/zero"),
    following("/dev/shm", root="/zero"),
]


@pytest.mark.parametrize("stray", STRAYS, ids=str)
def test_another_follower_is_refused(stray: MountPoint) -> None:
    assert f"the mount {stray.target}" in said_of_followers(stray)


@pytest.mark.parametrize("stray", STRAYS, ids=str)
def test_sabotage_where_every_follower_is_a_mask_it_passes(
    stray: MountPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.sandbox.mounted.is_mask", lambda mount: True)
    assert said_of_followers(stray) == set()


def test_a_mask_that_is_shared_with_the_host_is_refused() -> None:
    mask = replace(following("/proc/cmdline"), group="3")
    assert [str(f) for f in findings(remapped(mask), ASKED)] == [
        "the mount /proc/cmdline is 'shared', not 'on its own'"
    ]


def said_of_followers(mount: MountPoint) -> set[str]:
    found = findings(remapped(mount), ASKED)
    return {finding.what for finding in found if finding.found == "a follower of the host's"}


def scored(score: object) -> Evidence:
    """A sandbox of which the engine says this."""
    evidence = good(ASKED)
    evidence.inspect["HostConfig"]["OomScoreAdj"] = score
    return evidence


@pytest.mark.parametrize("score", [None, 0, 1, 200, 1000])
def test_a_sandbox_may_be_the_first_to_end_where_memory_is_short(score: object) -> None:
    assert list(findings(scored(score), ASKED)) == []


LATER = [-1, -1000, "200", 0.5, True, [1]]


@pytest.mark.parametrize("score", LATER)
def test_but_not_the_last(score: object) -> None:
    assert [f.what for f in findings(scored(score), ASKED)] == ["HostConfig.OomScoreAdj"]


@pytest.mark.parametrize("score", LATER)
def test_sabotage_where_its_score_is_not_looked_at_it_passes(
    score: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.sandbox.expected._killed_first", lambda score: iter(()))
    assert list(findings(scored(score), ASKED)) == []
