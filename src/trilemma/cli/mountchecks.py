"""Whether folders can be shown to sandboxes, found out by showing one."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trilemma.cli.checks import Finding, Status
from trilemma.gateway.settings import Settings
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.views import ViewMaker


def check_mounts(settings: Settings) -> Iterator[Finding]:
    """Lay an overlay over a folder of root, with its owner mapped, where layers will lie.

    Raises:
        SandboxError: the kernel refuses.
    """
    if os.geteuid() != 0:
        text = "workspaces need root on this machine; agents without one run"
        yield Finding("mounts", Status.NOTE, text)
        return
    near = next(p for p in (settings.state, *settings.state.parents) if p.exists())
    with tempfile.TemporaryDirectory(prefix=".trilemma-doctor-", dir=near) as scratch:
        copied = _try_view(Path(scratch))
    if copied:
        text = "overlay works, id-mapped mounts do not: folders of root are copied"
        yield Finding("mounts", Status.NOTE, text)
    else:
        yield Finding("mounts", Status.OK, "overlay and id-mapped mounts, no copies")


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
