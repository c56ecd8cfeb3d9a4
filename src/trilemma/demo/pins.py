"""Pins of programs: their hashes as they are in this machine's image.

The example's file has those of one Debian release. The demo runs on any, so it does once what a
person does with ``trilemma image hash``.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from typing import Any

from docker.errors import DockerException

from trilemma.errors import SandboxError
from trilemma.gateway.schemas import AgentSpec, CommandTool
from trilemma.sandbox.way import Way


def pinned(spec: AgentSpec, image: str) -> AgentSpec:
    """The agent with its programs pinned to those of an image.

    Raises:
        SandboxError: the image lacks one of them, or the engine does not answer.
    """
    commands = [tool for tool in spec.tools if isinstance(tool, CommandTool)]
    found = hashes(image, {tool.executable for tool in commands})
    tools = tuple(
        tool.model_copy(update={"sha256": found[tool.executable]})
        if isinstance(tool, CommandTool)
        else tool
        for tool in spec.tools
    )
    return spec.model_copy(update={"tools": tools})


def hashes(image: str, paths: Iterable[str]) -> dict[str, str]:
    """Hashes of files, read out of a container that never starts.

    Raises:
        SandboxError: the image lacks one of them, or the engine does not answer.
    """
    way = Way.from_environment()
    try:
        engine = way.client(timeout=60)
        try:
            container = engine.create_container(image, ["none"], network_disabled=True)["Id"]
            try:
                return {path: _hash(engine, container, path) for path in paths}
            finally:
                engine.remove_container(container, force=True)
        finally:
            engine.close()
    except DockerException as error:
        raise SandboxError(f"programs of the image cannot be read: {error}") from error
    finally:
        way.close()


def _hash(engine: Any, container: str, path: str) -> str:
    blocks, _ = engine.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(blocks))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        if file is None:
            raise SandboxError(f"{path!r} is no file in the image")
        return hashlib.sha256(file.read()).hexdigest()
