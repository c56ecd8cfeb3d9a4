"""Removing what dead gateways left, and saying what that was."""

from trilemma.cli import ledgers
from trilemma.cli.phrases import counted
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.snapshots import Snapshots
from trilemma.sandbox import hosttree, images as sandbox_images
from trilemma.sandbox.leftovers import sweep
from trilemma.sandbox.runtime import alive


def clean(*, images: bool) -> None:
    """Sweep, then close sessions, then images.

    Raises:
        SandboxError: something is still mounted or cannot be removed.
    """
    settings = Settings.from_environment()
    removed = sweep(settings.runtime) + Snapshots(settings.snapshots, "", 0).sweep()
    print(f"removed {counted(removed, 'leftover')} of dead gateways (containers, folders, mounts)")
    if settings.ledger.exists():
        with ledgers.opened(settings) as ledger:
            closed = recover(ledger, alive)
        print(f"recorded {counted(len(closed), 'ending')} of sessions and calls that crashed")
    if images:
        old, volumes = sandbox_images.remove_old(), hosttree.remove_old()
        print(f"removed {counted(old, 'image')} and {counted(volumes, 'volume')} of other versions")
