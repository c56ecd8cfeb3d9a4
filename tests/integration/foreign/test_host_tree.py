"""The volume with the tool host's tree: complete, ours, and one, or it is not used."""

import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.integration.foreign import images
from tests.integration.foreign.conftest import Made
from tests.integration.foreign.images import File

from trilemma.errors import SandboxError
from trilemma.sandbox import hosttree
from trilemma.sandbox.container import HOST_TREE, Settings, configuration
from trilemma.sandbox.hosttree import HostTree, ready_volume, remove_old, volume_name
from trilemma.sandbox.images import ImageId
from trilemma.sandbox.images.rootfs.recipe import TREE
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

MARKED = "dev.trilemma.host"


@pytest.fixture
def api() -> Iterator[Any]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


@pytest.fixture
def other(base_image: str, api: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageId]:
    """A base image of another version, which nobody else asks for."""
    with images.image(files=[File(f"{TREE}/version", b"other")], start=base_image) as made:
        monkeypatch.setattr(hosttree, "find", lambda kind: made)
        yield made
        for name in volumes(api, made):
            api.remove_volume(name)


def volumes(api: Any, image: ImageId) -> list[str]:
    """The mount first, then what it is a mount of."""
    found = api.volumes(filters={"name": volume_name(image)})["Volumes"] or []
    return sorted((str(each["Name"]) for each in found), key=len)


def listing(
    api: Any, image: str, volume: str = "", *, copy: bool = False
) -> dict[str, tuple[object, ...]]:
    """Everything in the tree, as a container sees it: of the volume, or of the image itself."""
    mount = [{"Type": "volume", "Source": volume, "Target": HOST_TREE, "ReadOnly": not copy}]
    host = {"Mounts": mount if volume else []}
    container = api.create_container_from_config({"Image": image, "Cmd": ["x"], "HostConfig": host})
    try:
        pieces, _ = api.get_archive(container["Id"], f"{HOST_TREE}/.")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            return {
                each.name: (each.mode, each.uid, each.gid, each.type, each.size, each.linkname)
                for each in archive
            }
    finally:
        api.remove_container(container["Id"])


def test_both_names_of_the_place_are_one() -> None:
    assert f"/{TREE}" == HOST_TREE


def test_a_filled_volume_holds_what_the_image_holds(other: ImageId, api: Any) -> None:
    name = HostTree().volume()
    mount, files = volumes(api, other)
    assert name == mount == volume_name(other)
    found = listing(api, other, files)
    assert found == listing(api, other)
    assert {"./version", "./ld.so", "./toolhost/main.py"} <= set(found)


def test_of_two_that_fill_at_once_one_is_left(other: ImageId, api: Any) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(ready_volume(other))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [volume_name(other)] * 3
    assert len(volumes(api, other)) == 2


def test_a_copy_that_was_cut_off_is_never_used(other: ImageId, api: Any) -> None:
    half = f"{volume_name(other)}-000000000000"
    api.create_volume(half, labels={MARKED: other})
    ready_volume(other)
    found = api.inspect_volume(volume_name(other))
    assert found["Labels"]["dev.trilemma.host.files"] != half


def test_files_that_somebody_removed_are_filled_again(other: ImageId, api: Any) -> None:
    ready_volume(other)
    lost = volumes(api, other)[1]
    api.remove_volume(lost)
    ready_volume(other)
    assert lost not in volumes(api, other)
    assert len(volumes(api, other)) == 2


def test_a_gateway_whose_volumes_somebody_removed_recovers(
    other: ImageId, api: Any, made: Made
) -> None:
    made(other).close()
    for name in volumes(api, other):
        api.remove_volume(name)
    with pytest.raises(SandboxError):
        made(other)
    made(other).close()
    assert len(volumes(api, other)) == 2


FOREIGN = {
    "a plain volume": ({}, {}),
    "a mount of anything": (
        {"type": "none", "device": "/srv", "o": "bind,ro,nosuid,nodev"},
        {MARKED: "{image}", "dev.trilemma.host.files": "{files}"},
    ),
    "our files without flags": (
        {"type": "none", "device": "{place}", "o": "bind"},
        {MARKED: "{image}", "dev.trilemma.host.files": "{files}"},
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_volume_that_somebody_else_made_is_refused(other: ImageId, api: Any, name: str) -> None:
    files = f"{volume_name(other)}-000000000000"
    place = api.create_volume(files, labels={MARKED: other})["Mountpoint"]
    options, labels = (
        {key: text.format(image=other, files=files, place=place) for key, text in fields.items()}
        for fields in FOREIGN[name]
    )
    api.create_volume(volume_name(other), "local", options, labels)
    with pytest.raises(SandboxError, match=r"was not made by Trilemma, or not completely; remove"):
        ready_volume(other)


def test_twin_without_the_look_a_strangers_program_is_process_1(
    other: ImageId,
    busybox: Path,
    runtime: RuntimeDir,
    api: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosttree, "_genuine", lambda *_: True)
    files = [
        File(f"{TREE}/ld.so", b"#!/opt/trilemma/busybox sh\necho stranger $$\n", 0o755),
        File(f"{TREE}/busybox", images.content(busybox, "usr/bin/busybox"), 0o755),
    ]
    with images.image(files=files) as stranger:
        listing(api, stranger, volume_name(other), copy=True)
    spec = SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, other)
    volume = HostTree().volume()
    settings = Settings(spec, "twin", runtime.instance, runtime.exchange(), volume)
    config = configuration(settings)
    config["HostConfig"] |= {"AutoRemove": False, "LogConfig": {"Type": "json-file"}}
    container = api.create_container_from_config(config)["Id"]
    try:
        api.start(container)
        api.wait(container, timeout=30)
        assert api.logs(container) == b"stranger 1\n"
    finally:
        api.remove_container(container)


def test_volumes_of_other_versions_go_unless_one_is_in_use(
    base_image: str, api: Any, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    with images.image(files=[File(f"{TREE}/version", b"old")], start=base_image) as old:
        monkeypatch.setattr(hosttree, "find", lambda kind: old)
        sandbox = made(base_image)
        monkeypatch.setattr(hosttree, "find", lambda kind: base_image)
        kept = ready_volume(ImageId(base_image))
        remove_old()
        assert len(volumes(api, old)) == 2
        sandbox.close()
        assert remove_old() >= 2
        assert volumes(api, old) == []
        assert len(volumes(api, ImageId(base_image))) == 2
        assert kept == volume_name(ImageId(base_image))
