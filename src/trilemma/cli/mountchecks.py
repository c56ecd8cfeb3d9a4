"""How folders are shown to sandboxes here, found out by showing one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from trilemma.cli.checks import Finding, Status
from trilemma.gateway.settings import Settings
from trilemma.sandbox.carried.why import why_carried
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.views import ViewMaker

_WHAT = "workspaces"


def check_mounts(settings: Settings) -> Iterator[Finding]:
    """Which way it is, and why; where folders are mounted, that they can be.

    Raises:
        EngineMissing: the engine does not answer.
        SandboxError: the kernel refuses.
    """
    engine = Engine()
    try:
        why = why_carried(engine)
    finally:
        engine.close()
    if why:
        text = f"carried into memory and back, up to {settings.carried_mb} MiB each: {why}"
        yield Finding(_WHAT, Status.OK, text)
        return
    near = next(p for p in (settings.state, *settings.state.parents) if p.exists())
    with tempfile.TemporaryDirectory(prefix=".trilemma-doctor-", dir=near) as scratch:
        copied = _try_view(Path(scratch))
    if copied:
        text = "mounted; overlay works, id-mapped mounts do not: folders of root are copied"
        yield Finding(_WHAT, Status.NOTE, text)
    else:
        yield Finding(_WHAT, Status.OK, "mounted: overlay and id-mapped mounts, no copies")


def _try_view(scratch: Path) -> bool:
    """Make a view and take it down; whether it is a copy."""
    folder, layer = scratch / "folder", scratch / "layer"
    folder.mkdir()
    layer.mkdir()
    views = ViewMaker(scratch / "run")
    try:
        view = views.layer_view(Folder.at(folder), layer, exec=False)
        try:
            return view.copied
        finally:
            view.close()
    finally:
        views.close()
