"""The second check: of a sandbox that was made ahead, when its workspace arrives.

It was verified when it was made, with an empty slot where the workspace will be. What can have
changed since is looked at again before the first call: the view must be there as it is on the
host, flags and all, and nothing besides; and no process may be more than it was.
"""

import os
from collections.abc import Callable, Iterator

from . import proc
from .container import WORKSPACE, Settings
from .expected import Finding
from .mounted import workspace_flags
from .proc import MountPoint
from .report import Attempted
from .running import of_attempts, of_process
from .verify import refuse

Hear = Callable[[], tuple[Attempted, ...]]


def verify_slot(mounts: tuple[MountPoint, ...], settings: Settings) -> None:
    """Refuse a sandbox whose slot is not this host's: what is mounted there would not arrive.

    Raises:
        SandboxRefused: it is not.
    """
    assert settings.slot is not None
    inside = [mount for mount in mounts if mount.target == WORKSPACE]
    refuse(of_slot(inside, proc.mount_at(os.getpid(), settings.slot.path)))


def verify_arrival(
    pid: int, before: tuple[MountPoint, ...], hear: Hear, settings: Settings
) -> None:
    """Refuse a sandbox into which anything came but the view of its spec.

    ``hear`` waits for what its tool host tried, which it does meanwhile.

    Raises:
        SandboxRefused: the first few findings, in words.
        SandboxLost: the tool host does not say.
    """
    refuse(_of_arrival(pid, before, hear, settings))


def _of_arrival(
    pid: int, before: tuple[MountPoint, ...], hear: Hear, settings: Settings
) -> Iterator[Finding]:
    mount = settings.spec.mount
    assert mount is not None
    view = proc.mount_at(os.getpid(), mount.source)
    yield from of_view(before, proc.mounts(pid), view, settings)
    yield from of_attempts(hear())
    for process in proc.processes(pid):
        yield from of_process(process, settings)


def of_view(
    before: tuple[MountPoint, ...],
    after: tuple[MountPoint, ...],
    view: MountPoint | None,
    settings: Settings,
) -> Iterator[Finding]:
    """What is wrong with the mounts of a sandbox after ``view`` was put into its slot."""
    known = set(before)
    arrived = [mount for mount in after if mount not in known]
    if len(after) - len(arrived) != len(before):
        yield Finding("what was mounted before", "unchanged", "changed")
    if [mount.target for mount in arrived] != [WORKSPACE]:
        found = [mount.target for mount in arrived]
        yield Finding("what was mounted later", [WORKSPACE], found)
        return
    (workspace,) = arrived
    if view is None or _shows(workspace) != _shows(view):
        yield Finding("the workspace", view and _shows(view), _shows(workspace))
    if workspace.group:
        yield Finding("the workspace", "a follower of the view", "shared")
    wanted = workspace_flags(settings.spec)
    if not workspace.has(*wanted) or (view is not None and workspace.flags != view.flags):
        yield Finding(f"the mount {WORKSPACE}", wanted, workspace.flags)


def of_slot(inside: list[MountPoint], slot: MountPoint | None) -> Iterator[Finding]:
    """What is wrong with what a sandbox has where its workspace will be."""
    place = "the place for a workspace"
    shown = [_shows(mount) for mount in inside]
    if slot is None or shown != [_shows(slot)]:
        yield Finding(place, slot and _shows(slot), shown)
    elif not slot.group or inside[0].follows != slot.group or inside[0].group:
        yield Finding(place, "a follower of the slot", "on its own")


def _shows(mount: MountPoint) -> tuple[str, str, str]:
    """What is mounted, wherever and with whatever flags."""
    return (mount.kind, mount.device, mount.root)
