"""The tool host's tree on the engine: two volumes, filled once for each base image.

The first holds the files: the engine copies them out of the base image while it creates a
container that is never started, and nothing else ever writes there. Its name is random, for a copy
can be cut off in the middle. Only when it is complete is the second made, under the name that
sandboxes use. That is the first once more, mounted ``ro,nosuid,nodev``, and making it is one
step: of two gateways that fill at once the engine keeps one. This works on a remote engine too.
"""

import re
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from trilemma.errors import ImageMissing, SandboxError

from .container import HOST_FLAGS, HOST_LABEL, HOST_TREE
from .images import ImageId, find
from .images.engine import ImageEngine, engine

_LABEL = HOST_LABEL
"""Of both volumes: the id of the image that the files are from."""
_FILES = "dev.trilemma.host.files"
"""Of the second: the name of the first."""

Volume = Mapping[str, Any]


class HostTree:
    """Finds the volume for sandboxes of this version. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._image: ImageId | None = None
        self._name: str | None = None

    def volume(self) -> str:
        """The volume's name; it is filled at first use.

        Raises:
            ImageMissing: the base image was not built yet.
            SandboxError: a volume of that name is not ours, or cannot be made.

        """
        with self._lock:
            # The image stays the same for as long as this process does, whatever is installed.
            self._image = self._image or find("base")
            if self._image is None:
                raise ImageMissing(
                    "the base image was not built here yet; run: trilemma image build"
                )
            self._name = self._name or ready_volume(self._image)
            return self._name

    def forget(self) -> None:
        """Look again next time: a sandbox could not be started, and volumes can be removed."""
        with self._lock:
            self._name = None


def ready_volume(image: ImageId) -> str:
    """The name of the complete volume, made if it is not there."""
    name = volume_name(image)
    with engine() as client:
        found = client.volume(name)
        if found is not None and _lost_files(client, found):
            client.remove_volume(name)
            found = None
        if not _genuine(client, found or _fill(client, image, name), image):
            raise SandboxError(
                f"volume {name!r} was not made by Trilemma, or not completely; "
                f"remove it: docker volume rm {name}"
            )
    return name


def volume_name(image: ImageId) -> str:
    """The name says which image's files the volume holds."""
    return f"trilemma-host-{image.removeprefix('sha256:')}"


def remove_old() -> int:
    """Remove volumes of other versions, and unfinished ones; one in use stays. How many went."""
    current = find("base")
    stays = {volume_name(current)} if current else set()
    removed = 0
    with engine() as client:
        # Files stay as long as a mount of them does: the engine knows of no user but that one's.
        for each in sorted(client.volumes(_LABEL), key=lambda each: not _label(each, _FILES)):
            if each["Name"] not in stays and client.remove_volume(each["Name"]):
                removed += 1
            else:
                stays.add(_label(each, _FILES))
    return removed


def _fill(client: ImageEngine, image: ImageId, name: str) -> Volume:
    files = f"{name}-{secrets.token_hex(6)}"
    labels = {_LABEL: image}
    mount = {"Type": "volume", "Source": files, "Target": HOST_TREE}
    labelled = {"VolumeOptions": {"Labels": labels}}
    # While this container is there, its volume is in use and nobody sweeps it.
    with client.container({"Image": image, "HostConfig": {"Mounts": [mount | labelled]}}):
        place = (client.volume(files) or {}).get("Mountpoint")
        options = _options(str(place))
        found = client.make_volume(name, labels | {_FILES: files}, options)
    if _label(found, _FILES) != files:
        client.remove_volume(files)
    return found


def _options(place: str) -> dict[str, str]:
    return {"type": "none", "device": place, "o": ",".join(("bind", *HOST_FLAGS))}


def _genuine(client: ImageEngine, found: Volume, image: ImageId) -> bool:
    """Whether a volume is the mount of a complete tree of this image."""
    files = client.volume(_label(found, _FILES)) or {}
    return (
        re.fullmatch(f"{volume_name(image)}-[0-9a-f]{{12}}", str(files.get("Name"))) is not None
        and {found.get("Driver"), files.get("Driver")} == {"local"}
        and {_label(found, _LABEL), _label(files, _LABEL)} == {image}
        and found.get("Options") == _options(str(files.get("Mountpoint")))
        and not files.get("Options")
    )


def _lost_files(client: ImageEngine, found: Volume) -> bool:
    """Whether it is ours, and what it is a mount of was removed."""
    return bool(_label(found, _LABEL)) and client.volume(_label(found, _FILES)) is None


def _label(volume: Volume, name: str) -> str:
    return str((volume.get("Labels") or {}).get(name) or "")
