"""What the engine is asked: is an image there, take this archive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from trilemma.errors import EngineMissing, ImageMissing, SandboxError

from .identity import LABEL, ImageId


@contextmanager
def engine() -> Iterator[docker.APIClient]:
    """A connection to the engine that the environment names; what it raises becomes ours."""
    try:
        client = docker.APIClient(version="auto", timeout=600, **docker.utils.kwargs_from_env())
    except (DockerException, RequestException) as error:
        raise EngineMissing(
            "no container engine answers: install Docker (Debian: apt-get install docker.io), "
            f"start it, and try again ({_short(error)})"
        ) from error
    try:
        yield client
    except (DockerException, RequestException) as error:
        raise SandboxError(f"the container engine failed: {_short(error)}") from error
    finally:
        client.close()


def find_image(client: docker.APIClient, name: str, identity: str) -> ImageId | None:
    """The id behind a name, if that image says it is the one and brings nothing along."""
    try:
        found = client.inspect_image(name)
    except ImageNotFound:
        return None
    config = found.get("Config") or {}
    if (config.get("Labels") or {}).get(LABEL) != identity:
        return None
    if any(config.get(field) for field in ("Volumes", "Healthcheck", "OnBuild", "Entrypoint")):
        return None
    return ImageId(found["Id"])


def load(client: docker.APIClient, archive: Iterator[bytes], name: str, identity: str) -> ImageId:
    """Give the engine an image archive and ask for the image it made of it."""
    for line in client.load_image(archive):
        if "error" in line:
            raise SandboxError(f"the container engine refused the image: {line['error']}")
    found = find_image(client, name, identity)
    if found is None:
        raise ImageMissing(f"the container engine took image {name!r} but does not list it")
    return found


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


Progress = Callable[[str], None]
"""Is told, in a few words, what is being done."""
