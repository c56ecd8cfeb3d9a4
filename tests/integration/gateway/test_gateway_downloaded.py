"""A script that was downloaded is run by no later session with code, by whatever door it comes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import Denied, WorkspaceError
from trilemma.gateway.workspaces import registry
from trilemma.gateway.workspaces.mark import ATTRIBUTE
from trilemma.policy.capability import NONE

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]
SCRIPT = b"echo canary-$((40 + 7))"


@pytest.fixture
def made(gate: Make, origin: Make) -> Any:
    """A gateway, and a server from which its agents may download."""
    server = origin()
    server.answers["/run.sh"] = SCRIPT
    made = gate(server.policy)
    made.server = server
    return made


def download(made: Any, mode: str) -> Any:
    """A session that leaves the script in the folder, or in its layer. It has ended."""
    session = made.open(
        *("http_fetch", "write_file"),
        grants=["files", "internet"],
        hosts=[made.server.rule()],
        workspace={"path": str(made.folder), "origin": "own", "mode": mode},
        new_domain=True,
    )
    assert SCRIPT.decode() in session.ok("http_fetch", url=made.server.url("/run.sh"))
    session.ok("write_file", path="sub/run.sh", text=SCRIPT.decode())
    session.close()
    return session.session.layer


def run(made: Any, place: Path, path: str = "sub/run.sh", **fields: Any) -> str:
    """A later session with files and code runs it."""
    mode = fields.pop("mode", "layer")
    session = made.open(
        "run_code",
        grants=["files", "code"],
        workspace={"path": str(place), "mode": mode},
        new_domain=True,
        **fields,
    )
    return str(session.ok("run_code", language="shell", code=f"sh {path}"))


@contextmanager
def itself(folder: Path) -> Iterator[Path]:
    yield folder


@contextmanager
def moved(folder: Path) -> Iterator[Path]:
    yield folder.rename(folder.with_name("moved"))


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(folder, folder.with_name("copied")))


@contextmanager
def unmarked(folder: Path) -> Iterator[Path]:
    os.removexattr(folder, ATTRIBUTE)
    yield folder


@contextmanager
def moved_and_unmarked(folder: Path) -> Iterator[Path]:
    os.removexattr(folder, ATTRIBUTE)
    yield folder.rename(folder.with_name("moved"))


@contextmanager
def linked(folder: Path) -> Iterator[Path]:
    link = folder.with_name("linked")
    link.symlink_to(folder)
    yield link


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    point = folder.with_name("mounted")
    point.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


@pytest.mark.parametrize(
    "door",
    [itself, moved, copied, unmarked, moved_and_unmarked, linked, mounted],
    ids=lambda door: door.__name__,
)
def test_the_folder_is_closed_to_code(door: Any, made: Any) -> None:
    download(made, "direct")
    with door(made.folder) as place:
        for mode in ("layer", "direct", "snapshot"):
            with pytest.raises(Denied) as refused:
                run(made, place, mode=mode)
            assert "outside_grants" in refused.value.reasons


def test_so_is_a_part_of_it(made: Any) -> None:
    download(made, "direct")
    for door in (itself, mounted, moved):
        with door(made.folder) as place, pytest.raises(WorkspaceError, match="overlaps"):
            run(made, place / "sub", "run.sh")


def test_so_is_what_holds_it(made: Any, tmp_path: Path) -> None:
    download(made, "direct")
    outer = tmp_path / "outer"
    outer.mkdir()
    made.folder.rename(outer / "folder")
    with pytest.raises(WorkspaceError, match="overlaps"):
        run(made, outer, "folder/sub/run.sh")


@pytest.mark.parametrize("mode", ["layer", "snapshot"])
def test_its_layer_is_closed_to_code(mode: str, made: Any) -> None:
    layer = download(made, "layer")
    with pytest.raises(Denied):
        run(made, made.folder, mode=mode, layer=layer)
    # The folder itself never had it.
    assert "canary-47" not in run(made, made.folder)


@pytest.mark.parametrize("mode", ["layer", "snapshot"])
def test_sabotage_where_labels_are_forgotten_it_runs(
    mode: str, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = download(made, "layer")
    made.sabotaged = True
    monkeypatch.setattr(registry.Workspaces, "_label", lambda *_: NONE)
    monkeypatch.setattr("trilemma.gateway.ledger.rules._check_labels", lambda *_: None)
    assert "canary-47" in run(made, made.folder, mode=mode, layer=layer)
    monkeypatch.undo()
