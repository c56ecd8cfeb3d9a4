"""A folder that is mounted in a second place is what it is in the first."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from trilemma.errors import WorkspaceError
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces import identity
from trilemma.gateway.workspaces.opening import Mode, Opening
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.policy.capability import NONE, parse
from trilemma.sandbox.aliases import aliases
from trilemma.sandbox.mounts import mounted_below

pytestmark = pytest.mark.root

Open = Callable[..., Opening]


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Callable[[Path, str], Path]]:
    """Mounts a folder once more, under a name."""
    with ExitStack() as stack:

        def mount(folder: Path, name: str) -> Path:
            point = tmp_path / "elsewhere" / name
            point.mkdir(parents=True)
            subprocess.run(["mount", "--bind", str(folder), str(point)], check=True)
            stack.callback(subprocess.run, ["umount", str(point)], check=True)
            return point

        yield mount


def bind_over(folder: Path, point: Path) -> None:
    subprocess.run(["mount", "--bind", str(folder), str(point)], check=True)


@pytest.fixture
def written(workspaces: Workspaces, folder: Path, opening: Open, decide: Decide) -> str:
    """The workspace that an agent with files and code has written to."""
    (folder / "sub/deep").mkdir(parents=True)
    opened = workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), decide)
    opened.close()
    return opened.workspace


@pytest.mark.parametrize(
    "name", ["a b\\c", "\u00fcb\u00e4r", "no\u00a0break", "a\u2028line", os.fsdecode(b"\xff")]
)
def test_whatever_a_place_is_called_it_is_found(
    name: str, tmp_path: Path, bind: Callable[[Path, str], Path]
) -> None:
    folder = tmp_path / f"of {name}"
    folder.mkdir()
    point = bind(folder, name)
    assert list(aliases(point)) == [folder]
    assert mounted_below(tmp_path) == [point]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("part", ["sub", "sub/deep"])
def test_a_part_that_is_mounted_elsewhere_sheds_nothing(
    part: str,
    workspaces: Workspaces,
    folder: Path,
    opening: Open,
    decide: Decide,
    bind: Callable[[Path, str], Path],
) -> None:
    point = bind(folder / part, "a b\\c")
    assert list(aliases(point)) == [folder / part]
    with pytest.raises(WorkspaceError, match="overlaps"):
        workspaces.open(opening(point, "files internet"), decide)


@pytest.mark.usefixtures("written")
def test_a_folder_in_one_that_is_mounted_elsewhere_sheds_nothing(
    workspaces: Workspaces,
    folder: Path,
    opening: Open,
    decide: Decide,
    bind: Callable[[Path, str], Path],
) -> None:
    point = bind(folder / "sub", "sub")
    with pytest.raises(WorkspaceError, match="overlaps"):
        workspaces.open(opening(point / "deep", "files internet"), decide)


def test_the_whole_folder_elsewhere_is_the_same_workspace(
    workspaces: Workspaces,
    ledger: Ledger,
    written: str,
    folder: Path,
    opening: Open,
    decide: Decide,
    bind: Callable[[Path, str], Path],
) -> None:
    opened = workspaces.open(opening(bind(folder, "whole"), "files code"), decide)
    assert opened.workspace == written
    assert ledger.label(written) == parse(["files", "code"])


@pytest.mark.usefixtures("written")
def test_sabotage_known_by_one_path_alone_its_label_is_gone(
    workspaces: Workspaces,
    ledger: Ledger,
    folder: Path,
    opening: Open,
    decide: Decide,
    bind: Callable[[Path, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identity, "aliases", lambda path: ())
    point = bind(folder / "sub", "sub")
    opened = workspaces.open(opening(point, "files internet"), decide)
    assert ledger.label(opened.workspace) == NONE


def test_a_part_opened_there_first_keeps_the_whole_from_being_opened(
    workspaces: Workspaces,
    folder: Path,
    opening: Open,
    decide: Decide,
    bind: Callable[[Path, str], Path],
) -> None:
    (folder / "sub").mkdir()
    workspaces.open(opening(bind(folder / "sub", "sub")), decide).close()
    with pytest.raises(WorkspaceError, match="overlaps"):
        workspaces.open(opening(folder), decide)


def test_below_a_mount_that_covers_another_a_folder_is_found_elsewhere(
    bind: Callable[[Path, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second/deep/part").mkdir(parents=True)
    point = bind(tmp_path / "first", "whole/deep").parent
    # It hides that one, whose place has the longer name, and is what a path leads to.
    bind_over(tmp_path / "second", point)
    try:
        assert list(aliases(point / "deep/part")) == [tmp_path / "second/deep/part"]
    finally:
        subprocess.run(["umount", str(point)], check=True)
