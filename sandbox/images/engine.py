"""What the engine is asked about images and volumes; none of its exceptions leaves this file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound, NotFound, NullResource
from requests.exceptions import RequestException

from trilemma.errors import EngineMissing, ImageMissing, SandboxError

from ..container import LABEL as CONTAINER
from ..runtime import Instance
from ..way import Way
from .identity import LABEL, STAGE, ImageId

Progress = Callable[[str], None]
"""Is told, in a few words, what is being done."""

_BRINGS = ("Volumes", "Healthcheck", "OnBuild", "Entrypoint", "Cmd")
"""What an image could bring along that acts by itself; ours have none of it."""

_CONFLICT = 409
"""Something is in use."""


class ImageEngine:
    """The few requests that images need, and the volume that is filled from one."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def id(self) -> str:
        """What the engine calls itself; it stays when the engine starts again."""
        return str(self._api.info().get("ID") or "")

    def find(self, name: str, identity: str) -> ImageId | None:
        """The image of a name or id, if it says that it is this one and brings nothing along.

        That it says so is no proof: see built.py.
        """
        try:
            found = self._api.inspect_image(name)
        except ImageNotFound:
            return None
        config = found.get("Config") or {}
        labels = config.get("Labels") or {}
        if labels.get(LABEL) != identity or any(config.get(field) for field in _BRINGS):
            return None
        return ImageId(found["Id"])

    def found(self, name: str, identity: str) -> ImageId:
        """The image that was just made."""
        image = self.find(name, identity)
        if image is None:
            raise ImageMissing(f"the container engine took image {name!r} but does not list it")
        return image

    def load(self, archive: Iterable[bytes]) -> None:
        """Give the engine an image archive."""
        for line in self._api.load_image(archive):
            if "error" in line:
                raise SandboxError(f"the container engine refused the image: {line['error']}")

    def build(self, context: Any, progress: Progress, **options: Any) -> ImageId:
        """Have the engine follow a Dockerfile; ``context`` is a tar file.

        Raises:
            SandboxError: it cannot, or does not say what it made.
        """
        made = ""
        lines: Iterator[Mapping[str, Any]] = self._api.build(
            fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True, **options
        )
        try:
            for line in lines:
                made = _follow(line, progress) or made
        finally:
            self.remove(label=STAGE, dangling=True)
        if not made:
            raise SandboxError("the container engine does not say which image it built")
        return ImageId(made)

    def remove(self, *, label: str, dangling: bool = False, kept: Collection[str] = ()) -> int:
        """Remove images with a label; one that a container uses stays. Gives how many went."""
        filters = {"label": label, "dangling": dangling}
        found = [each for each in self._api.images(filters=filters) if each["Id"] not in kept]
        return sum(self._removed(each) for each in found)

    def _removed(self, image: Mapping[str, Any]) -> bool:
        names = [name for name in image.get("RepoTags") or [] if name != "<none>:<none>"]
        try:
            for name in names or [image["Id"]]:
                self._api.remove_image(name)
        except APIError:
            return False
        return True

    def inspect(self, image: str) -> Mapping[str, Any]:
        """What an image is, by any of its names. Nothing is ever pulled.

        Raises:
            ImageMissing: the engine has none of that name.
        """
        try:
            found: Mapping[str, Any] = self._api.inspect_image(image)
        except (ImageNotFound, NullResource):
            raise ImageMissing(
                f"image {image!r} is not on this machine; run: trilemma image build, or for "
                f"somebody else's: docker pull"
            ) from None
        return found

    @contextmanager
    def container(self, config: Mapping[str, Any]) -> Iterator[str]:
        """A container that is created, looked at, never started and removed."""
        labels = {f"{CONTAINER}.instance": str(Instance.current())}
        whole = {"Cmd": ["-"], "Labels": labels, "NetworkDisabled": True, **config}
        container = self._api.create_container_from_config(whole)["Id"]
        try:
            yield container
        finally:
            self._api.remove_container(container, v=True)

    def save(self, image: ImageId) -> Iterator[bytes]:
        """An image as an archive, as another engine takes it."""
        pieces: Iterator[bytes] = self._api.get_image(image)
        return pieces

    def export(self, container: str) -> Iterator[bytes]:
        """The files of a container as a tar archive."""
        pieces: Iterator[bytes] = self._api.export(container)
        return pieces

    def volume(self, name: str) -> Mapping[str, Any] | None:
        """What a volume is."""
        try:
            found: Mapping[str, Any] = self._api.inspect_volume(name)
        except (NotFound, NullResource):
            return None
        return found

    def volumes(self, label: str) -> Sequence[Mapping[str, Any]]:
        """All volumes with a label."""
        return self._api.volumes(filters={"label": label})["Volumes"] or []

    def make_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Make a volume, or give the one of that name that is there."""
        found: Mapping[str, Any] = self._api.create_volume(name, "local", options, labels)
        return found

    def remove_volume(self, name: str) -> bool:
        """Remove a volume. False when a container uses it."""
        try:
            self._api.remove_volume(name)
        except NotFound:
            return True
        except APIError as error:
            if error.status_code != _CONFLICT:
                raise
            return False
        return True


@contextmanager
def engine() -> Iterator[ImageEngine]:
    """A connection to the engine that the environment names; what it raises becomes ours."""
    way = Way.from_environment()
    try:
        api = way.client(timeout=600)
    except (DockerException, RequestException) as error:
        way.close()
        raise EngineMissing(
            f"no container engine answers at {way.text}: {_short(error)}"
        ) from error
    try:
        yield ImageEngine(api)
    except (DockerException, RequestException) as error:
        raise SandboxError(f"the container engine failed: {_short(error)}") from error
    finally:
        api.close()
        way.close()


def _follow(line: Mapping[str, Any], progress: Progress) -> str:
    """Pass on what is being done; the id of the image, where the line says it."""
    if "error" in line:
        raise SandboxError(f"the engine cannot build the image: {line['error'].strip()}")
    text = line.get("stream", "").strip()
    if text.startswith("Step "):
        progress(text)
    return str((line.get("aux") or {}).get("ID") or "")


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
