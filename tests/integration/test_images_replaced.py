"""An image is the one that was built here, or it is not used: names and labels prove nothing."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trilemma.errors import SandboxError
from trilemma.sandbox.images import ImageId, build, built, ensure, find
from trilemma.sandbox.images.engine import ImageEngine, engine
from trilemma.sandbox.images.identity import LABEL, tag

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("code_image")]


def quiet(_: str) -> None: ...


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a code image that nobody else asks for."""
    identity = uuid.uuid4().hex * 2
    monkeypatch.setattr(build, "image_identity", lambda kind: identity)
    yield identity
    with engine() as client:
        client.remove(label=f"{LABEL}={identity}")
        note(identity).unlink(missing_ok=True)


@pytest.fixture
def strangers(identity: str) -> Iterator[Callable[[], ImageId]]:
    """Loads somebody else's image under the name of ours, with its label."""
    name = tag("code", identity)
    made: list[str] = []

    def load() -> ImageId:
        options = (f"--change=LABEL {LABEL}={identity}", f"--change=ENV MADE={len(made)}")
        done = subprocess.run(
            ["docker", "import", *options, "-", name],
            input=bytes(1024),
            capture_output=True,
            check=True,
        )
        made.append(done.stdout.decode().strip())
        return ImageId(made[-1])

    yield load
    subprocess.run(["docker", "rmi", "--force", *made], capture_output=True, check=False)


def note(identity: str) -> Path:
    """Where the id of the image that was built is kept."""
    with engine() as client:
        return built._place(client, tag("code", identity))


def test_an_image_that_was_replaced_is_not_the_one_that_is_used(
    strangers: Callable[[], ImageId],
) -> None:
    ours = ensure("code", quiet)
    assert strangers() != ours
    assert find("code") == ensure("code", quiet) == ours


def test_sabotage_by_its_name_and_label_the_stranger_s_image_is_used(
    strangers: Callable[[], ImageId], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure("code", quiet)
    theirs = strangers()
    monkeypatch.setattr(
        build, "find_built", lambda client, name, identity: client.find(name, identity)
    )
    assert find("code") == theirs


def test_an_image_that_was_there_before_us_is_not_taken_but_built_again(
    strangers: Callable[[], ImageId],
) -> None:
    theirs = strangers()
    assert find("code") is None
    assert ensure("code", quiet) == find("code") != theirs


def test_in_another_home_the_image_counts_as_not_there(
    identity: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = ensure("code", quiet)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert find("code") is None
    assert find("code") == ours


def open_to_all(place: Path) -> None:
    place.chmod(0o666)


def given_away(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(place, 12345, 12345)


def linked(place: Path) -> None:
    target = place.rename(place.with_suffix(".target"))
    place.symlink_to(target)


def longer(place: Path) -> None:
    place.write_text(place.read_text() + "0")


def emptied(place: Path) -> None:
    place.write_text("")


@pytest.mark.parametrize("harm", [open_to_all, given_away, linked, longer, emptied])
def test_a_note_that_others_could_have_put_there_is_not_believed(
    harm: Callable[[Path], None], identity: str, tmp_path: Path
) -> None:
    kept = tmp_path / "note"
    kept.touch(mode=0o600)
    kept.write_text("sha256:" + "0" * 64)
    assert built._read(kept) == "sha256:" + "0" * 64
    harm(kept)
    assert built._read(kept) is None


def test_an_image_that_is_replaced_while_it_is_loaded_is_not_remembered(
    strangers: Callable[[], ImageId], identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ImageEngine.found

    def after_another(self: ImageEngine, name: str, identity: str) -> ImageId:
        strangers()
        return found(self, name, identity)

    monkeypatch.setattr(ImageEngine, "found", after_another)
    with pytest.raises(SandboxError, match=r"is not the one that was just loaded; try again$"):
        ensure("code", quiet)
    assert not note(identity).exists()
    assert find("code") is None
