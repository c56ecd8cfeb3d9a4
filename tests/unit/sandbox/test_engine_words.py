"""What an engine says of itself, where that decides: users of its own, and limits it keeps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trilemma.errors import SandboxError
from trilemma.sandbox.confined import own_users, security
from trilemma.sandbox.container import Settings
from trilemma.sandbox.idmap import SANDBOX_ID, Owner
from trilemma.sandbox.keptlimits import unkept
from trilemma.sandbox.mounted import of_mounts
from trilemma.sandbox.proc import MountPoint
from trilemma.sandbox.profile import DEVICES, shows_host_files
from trilemma.sandbox.remapped import owner
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

LIMITS = {"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True}
REMAPPED = ["name=seccomp,profile=default", "name=userns"]


def test_whose_containers_have_users_of_their_own() -> None:
    assert own_users(security({"SecurityOptions": REMAPPED}))
    assert own_users(security({"SecurityOptions": ["name=rootless"]}))
    assert not own_users(security({"SecurityOptions": ["name=seccomp,profile=userns"]}))
    assert not own_users(security({}))


def test_a_volume_belongs_to_who_the_sandbox_s_user_is_on_the_engine_s_host() -> None:
    there = {"SecurityOptions": REMAPPED, "DockerRootDir": "/var/lib/docker/300000.400000"}
    assert owner(there) == Owner(300000 + SANDBOX_ID, 400000 + SANDBOX_ID)
    assert owner({"DockerRootDir": "/var/lib/docker"}) == Owner(SANDBOX_ID, SANDBOX_ID)
    # A rootless engine makes volumes in the namespace of its containers.
    rootless = {"SecurityOptions": ["name=rootless"], "DockerRootDir": "/home/me/1000.1000"}
    assert owner(rootless) == Owner(SANDBOX_ID, SANDBOX_ID)


@pytest.mark.parametrize("place", [None, "", "/var/lib/docker", "/srv/300000.x", "/srv/1.2.3"])
def test_an_engine_that_does_not_say_who_that_is_is_refused_in_one_line(place: object) -> None:
    with pytest.raises(SandboxError, match="userns-remap") as refused:
        owner({"SecurityOptions": REMAPPED, "DockerRootDir": place})
    assert "\n" not in str(refused.value)


def test_an_engine_that_keeps_every_limit_is_fine() -> None:
    assert unkept(LIMITS) == ""


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("said", [False, None])
def test_one_limit_that_is_not_kept_is_named(limit: str, said: object) -> None:
    text = unkept({**LIMITS, limit: said})
    assert "keeps no limit of" in text
    assert "rootless" not in text
    assert "\n" not in text


def test_a_rootless_engine_is_told_how_to_get_them() -> None:
    text = unkept({"SecurityOptions": ["name=rootless"]})
    assert "memory, processes, processor time" in text
    assert "cgroup v2" in text


def devices() -> Iterator[MountPoint]:
    for root in DEVICES:
        yield MountPoint(f"/dev{root}", "devtmpfs", root, "0:6", frozenset({"rw"}))


def found(mounts: list[MountPoint], host: frozenset[str]) -> set[str]:
    """What is said about devices."""
    spec = SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, "sha256:x")
    settings = Settings(spec, "name", "instance", Path("/run"), "tree", stdio=True)
    return {f.what for f in of_mounts(tuple(mounts), settings, host) if "/dev/" in f.what} - {
        "the mount /dev/shm"
    }


def test_devices_are_mounted_where_a_container_has_users_of_its_own_and_nowhere_else() -> None:
    everything = {f"the mount /dev{root}" for root in DEVICES}
    remapped = frozenset({"userns"})
    assert found(list(devices()), remapped) == set()
    assert found([], remapped) == everything
    assert found(list(devices()), frozenset()) == everything
    assert not any(map(shows_host_files, devices()))


@pytest.mark.parametrize(
    "mount",
    [
        MountPoint("/dev/null", "devtmpfs", "/sda", "0:6", frozenset({"rw"})),
        MountPoint("/dev/null", "devtmpfs", "/zero", "0:6", frozenset({"rw"})),
        MountPoint("/dev/null", "ext4", "/null", "254:0", frozenset({"rw"})),
    ],
)
def test_what_only_lies_at_the_place_of_a_device_is_found(mount: MountPoint) -> None:
    others = [each for each in devices() if each.target != mount.target]
    assert found([*others, mount], frozenset({"userns"})) == {"the mount /dev/null"}
    assert shows_host_files(mount)
