"""The container engine, through the ``docker`` SDK; none of its exceptions leaves this file."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from docker import errors as foreign

from trilemma.errors import EngineMissing, ImageMissing, SandboxError

from .attached import Attached, attach
from .way import MISSING, Way

Inspect = Mapping[str, Any]
"""What the Engine says about a container or an image."""

_REMOVALS, _REMOVING = 6, 3
"""How often a removal is tried, and seconds for one that is in progress."""
_STARTED = 30.0
"""Seconds for one request; creating and starting are the slow ones."""

# The most specific class wins; DockerException is the base of all of them.
TRANSLATED: Mapping[type[Exception], type[SandboxError]] = {
    foreign.ImageNotFound: ImageMissing,
    foreign.NullResource: ImageMissing,
    foreign.DockerException: SandboxError,
    foreign.StreamParseError: SandboxError,
    requests.exceptions.ConnectionError: EngineMissing,
    requests.exceptions.Timeout: EngineMissing,
    requests.exceptions.RequestException: SandboxError,
}


class Engine:
    """The few requests that sandboxes need. Safe to use from several threads."""

    def __init__(self, *, timeout: float = _STARTED) -> None:
        """Connect to the engine that ``DOCKER_HOST`` names, or to this machine's.

        Raises:
            EngineMissing: nothing answers there.

        """
        self._way = Way.from_environment()
        self.address = self._way.text
        try:
            with self._translated():
                self._api = self._way.client(timeout=int(timeout), max_pool_size=32)
        except BaseException:
            self._way.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        self._way.close()

    def info(self) -> Inspect:
        """What the engine is and can do."""
        with self._translated():
            found: Inspect = self._api.info()
            return found

    def image(self, image: str) -> Inspect:
        """What the image is. Nothing is ever pulled."""
        with self._translated(image):
            found: Inspect = self._api.inspect_image(image)
            return found

    def create(self, config: Mapping[str, Any], name: str) -> str:
        """Create a container and give its id."""
        with self._translated(str(config.get("Image"))):
            return str(self._api.create_container_from_config(dict(config), name)["Id"])

    def start(self, container: str) -> None:
        """Start a created container."""
        with self._translated():
            self._api.start(container)

    def inspect(self, container: str) -> Inspect | None:
        """What the Engine made of a container, or None when it is gone."""
        with self._translated(), contextlib.suppress(foreign.NotFound):
            found: Inspect = self._api.inspect_container(container)
            return found
        return None

    def processes(self, container: str) -> int:
        """How many processes the Engine sees in a container."""
        with self._translated():
            return len(self._api.top(container)["Processes"] or ())

    def attach(self, container: str) -> Attached:
        """The input and output of a container that was created and not yet started."""
        return attach(self._way.address, container)

    def remove(self, container: str) -> None:
        """Kill and remove a container, by id or name, and wait until it is gone.

        Raises:
            SandboxError: the engine does not get rid of it.

        """
        with self._translated(), contextlib.suppress(foreign.NotFound):
            for _ in range(_REMOVALS - 1):
                if self._removed(container):
                    return
            self._api.remove_container(container, force=True, v=True)

    def _removed(self, container: str) -> bool:
        """Try to; False where it may be there still."""
        try:
            self._api.remove_container(container, force=True, v=True)
        except foreign.NotFound:
            return True
        except foreign.APIError as exc:
            # Somebody else removes it, or it ended just when it was to be killed. Then the engine
            # says that a removal is in progress, and may mean one that it has given up.
            if exc.status_code not in (409, 500):
                raise
            with contextlib.suppress(requests.exceptions.RequestException):
                self._api.wait(container, timeout=_REMOVING, condition="removed")
            return False
        return True

    def containers(self, label: str) -> tuple[Inspect, ...]:
        """Every container, running or not, that carries ``label`` or ``label=value``."""
        with self._translated():
            return tuple(self._api.containers(all=True, filters={"label": label}))

    def create_volume(
        self, name: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> Inspect:
        """What the Engine says of the volume of that name, which it makes if there is none."""
        with self._translated():
            made: Inspect = self._api.create_volume(
                name, driver="local", driver_opts=dict(options), labels=dict(labels)
            )
            return made

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container has. One that is gone is fine."""
        with self._translated(), contextlib.suppress(foreign.NotFound):
            self._api.remove_volume(name)

    def volumes(self, label: str) -> tuple[Inspect, ...]:
        """Every volume that carries ``label`` or ``label=value``."""
        with self._translated():
            return tuple(self._api.volumes(filters={"label": label})["Volumes"] or ())

    @contextlib.contextmanager
    def _translated(self, image: str = "") -> Iterator[None]:
        self._way.ensure()
        try:
            yield
        except tuple(TRANSLATED) as exc:
            raise translate(exc, image=image, where=self.address) from exc


def translate(exc: Exception, *, image: str, where: str) -> SandboxError:
    """Our error for one of theirs, by its most specific entry in the table."""
    kind = next(TRANSLATED[c] for c in type(exc).__mro__ if c in TRANSLATED)
    if kind is SandboxError and _unreachable(exc):
        kind = EngineMissing
    if kind is ImageMissing:
        return ImageMissing(f"image {image!r} is not on this machine; run: trilemma image build")
    reason = getattr(exc, "explanation", None) or str(exc)
    if kind is EngineMissing and not where.startswith("unix://"):
        return EngineMissing(f"no container engine answers at {where}: {_one_line(reason)}")
    if kind is EngineMissing:
        return EngineMissing(MISSING.format(where=where))
    return SandboxError(f"the container engine refused: {_one_line(reason)}")


def _unreachable(exc: Exception) -> bool:
    """The SDK wraps a refused connection in its base class, with the cause in the text only."""
    return type(exc) is foreign.DockerException and "server API version" in str(exc)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:500]
