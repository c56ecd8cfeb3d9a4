"""Images are built of what earlier builds kept: nobody else may have put it there."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.errors import SandboxError
from trilemma.sandbox.images import cache
from trilemma.sandbox.images.identity import system_identity

STRANGER = 12345
LAYER = "sha256:" + "0" * 64


def quiet(_: str) -> None: ...


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for caches that somebody else may write to as well."""
    tmp_path.chmod(0o1777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def planted(shared: Path) -> Path:
    """A stranger's layer, where the first build would look for the one that it kept."""
    folder = shared / "trilemma/images"
    place = folder / f"base-{system_identity('base')[:16]}"
    place.mkdir(parents=True)
    (place / "layer.json").write_text(json.dumps({"digest": LAYER}))
    for path in (folder.parent, folder, *folder.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    return folder


def test_what_is_kept_is_its_owner_s_alone(shared: Path) -> None:
    with cache.locked() as folder:
        assert folder == shared / "trilemma/images"
    for place in (folder, folder.parent):
        assert place.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_to_is_closed_to_them(shared: Path) -> None:
    (shared / "trilemma/images").mkdir(parents=True)
    for place in (shared / "trilemma", shared / "trilemma/images"):
        place.chmod(0o777)
    assert cache.cache_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.root
def test_nothing_is_built_of_a_stranger_s_layer(planted: Path) -> None:
    with pytest.raises(SandboxError, match="yours alone"), cache.locked():
        pass
    assert not (planted / "lock").exists()


@pytest.mark.root
def test_sabotage_without_a_look_at_the_owner_the_stranger_s_layer_is_taken(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_refuse_others", lambda place: None)
    with cache.locked() as folder:
        assert cache.system("base", folder, quiet).digest == LAYER
    assert folder == planted


def link(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere)


def inner_link(place: Path, elsewhere: Path) -> None:
    place.mkdir()
    (place / "images").symlink_to(elsewhere)


@pytest.mark.parametrize("plant", [link, inner_link])
def test_a_link_to_another_folder_is_not_followed(
    plant: Callable[[Path, Path], None], shared: Path
) -> None:
    (shared / "elsewhere/images").mkdir(parents=True)
    plant(shared / "trilemma", shared / "elsewhere")
    with pytest.raises(SandboxError, match="yours alone"):
        cache.cache_folder()
