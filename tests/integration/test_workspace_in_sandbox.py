"""A workspace in a real container: what a tool may do there, and where its changes go."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma.policy.capability import parse
from trilemma.sandbox.base import BuiltinEntry, CallResult, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.views import View, ViewMaker

pytestmark = [pytest.mark.root, pytest.mark.docker]


@pytest.fixture
def maker(runtime: RuntimeDir) -> Iterator[ViewMaker]:
    maker = ViewMaker(runtime.path)
    yield maker
    maker.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder of root, with a socket in it."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("old\n")
    (folder / "a.txt").chmod(0o600)
    folder.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent.sock"))
    return folder


def spec(mount: Mount, image: str, execution: Exec = Exec.NEVER) -> SandboxSpec:
    names = ["files", "code"] if execution is Exec.FREE else ["files"]
    return SandboxSpec(parse(names), execution, Egress.NONE, mount, image)


def call(
    backend: DockerBackend, spec: SandboxSpec, *calls: tuple[str, dict[str, Any]]
) -> list[CallResult]:
    sandbox = backend.create(spec)
    try:
        return [
            sandbox.call(SandboxCall(f"call-{n}", BuiltinEntry(tool), arguments, 20.0))
            for n, (tool, arguments) in enumerate(calls)
        ]
    finally:
        sandbox.close()


def test_tool_writes_to_the_layer_and_sees_no_socket(
    backend: DockerBackend, base_image: str, maker: ViewMaker, folder: Path, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    listed, read, written = call(
        backend,
        spec(view.mount, base_image),
        ("list_files", {"path": "."}),
        ("read_file", {"path": "a.txt"}),
        ("write_file", {"path": "new/b.txt", "text": "b"}),
    )
    assert "a.txt" in str(listed.value)
    assert "agent.sock" not in str(listed.value)
    assert "old" in str(read.value)
    assert written.error is None
    assert (layer / "upper/new/b.txt").read_text() == "b"
    assert sorted(os.listdir(folder)) == ["a.txt", "agent.sock"]


@pytest.mark.parametrize("read_only", [False, True])
def test_direct_view_is_the_folder_itself(
    read_only: bool, backend: DockerBackend, base_image: str, maker: ViewMaker, folder: Path
) -> None:
    (folder / "agent.sock").unlink()
    view = maker.direct_view(Folder.at(folder), read_only=read_only, exec=False)
    (written,) = call(
        backend,
        spec(view.mount, base_image),
        ("write_file", {"path": "b.txt", "text": "b"}),
    )
    assert (written.error is not None) is read_only
    assert (folder / "b.txt").exists() is not read_only


def test_code_and_file_tools_share_one_layer(
    backend: DockerBackend,
    base_image: str,
    code_image: str,
    maker: ViewMaker,
    folder: Path,
    tmp_path: Path,
) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    views: list[View] = [
        maker.layer_view(Folder.at(folder), layer, exec=exec) for exec in (False, True)
    ]
    script = "printf '#!/bin/sh\\necho ran' > s && chmod 755 s && ./s"
    arguments = {"language": "shell", "code": script}
    (ran,) = call(backend, spec(views[1].mount, code_image, Exec.FREE), ("run_code", arguments))
    (read,) = call(backend, spec(views[0].mount, base_image), ("read_file", {"path": "s"}))
    assert "ran" in str(ran.value)
    assert "echo ran" in str(read.value)
    assert not (folder / "s").exists()
