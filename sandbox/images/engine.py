"""What the engine is asked about images; none of its exceptions leaves this file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from trilemma.errors import EngineMissing, ImageMissing, SandboxError

from ..way import Way
from .identity import LABEL, STAGE, ImageId

Progress = Callable[[str], None]
"""Is told, in a few words, what is being done."""

_BRINGS = ("Volumes", "Healthcheck", "OnBuild", "Entrypoint", "Cmd")
"""What an image could bring along that acts by itself; ours have none of it."""


class ImageEngine:
    """The few requests a build needs."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def find(self, name: str, identity: str) -> ImageId | None:
        """The image behind a name, if it says that it is this one and brings nothing along."""
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

    def build(self, context: Any, progress: Progress, **options: Any) -> None:
        """Have the engine follow a Dockerfile; ``context`` is a tar file."""
        lines: Iterator[Mapping[str, str]] = self._api.build(
            fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True, **options
        )
        try:
            for line in lines:
                _follow(line, progress)
        finally:
            self.remove(label=STAGE, dangling=True)

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

    def save(self, image: ImageId) -> Iterator[bytes]:
        """An image as an archive."""
        pieces: Iterator[bytes] = self._api.get_image(image)
        return pieces


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


def _follow(line: Mapping[str, str], progress: Progress) -> None:
    if "error" in line:
        raise SandboxError(f"the engine cannot build the image: {line['error'].strip()}")
    text = line.get("stream", "").strip()
    if text.startswith("Step "):
        progress(text)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
