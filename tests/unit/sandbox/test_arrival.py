"""What may change in a sandbox when its workspace arrives: one mount, as it is on the host."""

from dataclasses import replace
from pathlib import Path

import pytest

from trilemma.policy.capability import parse
from trilemma.sandbox.arrival import of_slot, of_view
from trilemma.sandbox.container import Settings
from trilemma.sandbox.proc import MountPoint
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec

FLAGS = frozenset({"rw", "nosuid", "nodev", "noexec", "relatime"})
ROOT = MountPoint("/", "overlay", "/", "0:50", frozenset({"ro"}))
SLOT = MountPoint("/workspace", "ext4", "/run/slot", "8:1", FLAGS - {"rw"} | {"ro"}, follows="7")
BEFORE = (ROOT, SLOT)
VIEW = MountPoint("/run/view", "overlay", "/", "0:61", FLAGS, group="9")
ARRIVED = replace(VIEW, target="/workspace", group="", follows="12")


def settings(*, read_only: bool) -> Settings:
    mount = Mount(Path("/run/view"), read_only, 1000, 1000)
    spec = SandboxSpec(parse(["files"]), Exec.NEVER, Egress.NONE, mount, "sha256:0")
    return Settings(spec=spec, name="x", instance="i", exchange=Path("/x"), host="h")


def found(*after: MountPoint, view: MountPoint | None = VIEW, read_only: bool = False) -> list[str]:
    asked = settings(read_only=read_only)
    return [str(finding) for finding in of_view(BEFORE, after, view, asked)]


def test_the_view_alone_may_arrive() -> None:
    assert found(*BEFORE, ARRIVED) == []


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        (*BEFORE, ARRIVED, replace(ARRIVED, device="0:99")),
        (*BEFORE, ARRIVED, replace(ARRIVED, target="/workspace/sub")),
        (*BEFORE, replace(ARRIVED, target="/tmp")),
        (SLOT, ARRIVED),
        (replace(ROOT, flags=frozenset({"rw"})), SLOT, ARRIVED),
        (*BEFORE, replace(ARRIVED, device="0:99")),
        (*BEFORE, replace(ARRIVED, root="/etc")),
        (*BEFORE, replace(ARRIVED, kind="ext4")),
        (*BEFORE, replace(ARRIVED, group="12", follows="")),
        (*BEFORE, replace(ARRIVED, flags=FLAGS - {"noexec"})),
        (*BEFORE, replace(ARRIVED, flags=FLAGS - {"nosuid"})),
        (*BEFORE, replace(ARRIVED, flags=FLAGS - {"nodev"})),
        (*BEFORE, replace(ARRIVED, flags=FLAGS - {"rw"} | {"ro"})),
    ],
)
def test_anything_else_is_found(after: tuple[MountPoint, ...]) -> None:
    assert found(*after)


def test_a_view_that_is_not_as_its_spec_says_is_found_though_it_arrived_as_it_is() -> None:
    assert found(*BEFORE, ARRIVED, read_only=True)
    lax = replace(VIEW, flags=FLAGS - {"noexec"})
    assert found(*BEFORE, replace(ARRIVED, flags=lax.flags), view=lax)


def test_a_view_that_is_not_on_the_host_is_found() -> None:
    assert found(*BEFORE, ARRIVED, view=None)


def on_host(group: str = "7") -> MountPoint:
    return replace(SLOT, target="/run/slot", group=group, follows="")


def test_the_slot_must_be_this_hosts_and_follow_it() -> None:
    assert list(of_slot([SLOT], on_host())) == []


@pytest.mark.parametrize(
    ("inside", "slot"),
    [
        ([], on_host()),
        ([SLOT], None),
        ([SLOT, SLOT], on_host()),
        ([replace(SLOT, root="/run/other")], on_host()),
        ([replace(SLOT, device="0:9")], on_host()),
        ([replace(SLOT, follows="")], on_host()),
        ([replace(SLOT, follows="8")], on_host()),
        ([replace(SLOT, follows="")], on_host(group="")),
        # What it mounted itself would appear on the host.
        ([replace(SLOT, group="7")], on_host()),
    ],
)
def test_any_other_slot_is_found(inside: list[MountPoint], slot: MountPoint | None) -> None:
    assert list(of_slot(inside, slot))
