"""Removing what dead gateways left, and saying what that was."""

from collections.abc import Iterable

from trilemma.cli import ledgers
from trilemma.cli.escape import line
from trilemma.cli.failure import Stop
from trilemma.cli.phrases import counted
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.snapshots import Snapshots
from trilemma.sandbox import hosttree, images as sandbox_images
from trilemma.sandbox.fate import Fate, fate
from trilemma.sandbox.leftovers import sweep, unjudged
from trilemma.sandbox.runtime import alive


def clean(*, images: bool, gone: frozenset[str] = frozenset()) -> None:
    """Sweep, then close sessions, then images; ``gone`` are gateways that somebody says have ended.

    Raises:
        Stop: one of those runs.
        SandboxError: something is still mounted or cannot be removed.
    """
    settings = Settings.from_environment()
    for name in gone:
        if fate(name) is Fate.RUNS:
            raise Stop(f"gateway {name!r} runs: end it first")
    removed = sweep(settings.runtime, gone=gone)
    removed += Snapshots(settings.snapshots, "", 0).sweep(gone)
    print(f"removed {counted(removed, 'leftover')} of dead gateways (containers, folders, mounts)")
    left = set(unjudged())
    if settings.ledger.exists():
        with ledgers.opened(settings) as ledger:
            closed = recover(ledger, lambda name: alive(name) and name not in gone)
            open_now = {str(each.event.body.get("instance")) for each in ledger.open_sessions()}
        print(f"recorded {counted(len(closed), 'ending')} of sessions and calls that crashed")
        left |= {name for name in open_now if fate(name) is Fate.UNKNOWN}
    _name(left)
    if images:
        old, volumes = sandbox_images.remove_old(), hosttree.remove_old()
        print(f"removed {counted(old, 'image')} and {counted(volumes, 'volume')} of other versions")


def _name(left: Iterable[str]) -> None:
    """Say which gateways cannot be judged from here, and the way on."""
    for name in sorted(left):
        shown = line(name, 100)
        print(f"left alone: gateway {shown}, of another machine, container or version")
        print(f"  if you know that it has ended: trilemma clean --gone {shown}")
