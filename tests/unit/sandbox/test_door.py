import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trilemma.errors import SandboxError
from trilemma.sandbox.door import HOST_SOCKET, Door


def test_the_expected_process_comes_in_and_nothing_stays(tmp_path: Path) -> None:
    with Door(tmp_path, os.getuid()) as door, socket.socket(socket.AF_UNIX) as inside:
        inside.connect(str(tmp_path / HOST_SOCKET))
        with door.accept(os.getpid, 5) as connection:
            inside.sendall(b"hello")
            assert connection.recv(10) == b"hello"
    assert list(tmp_path.iterdir()) == []


def test_another_process_is_turned_away(tmp_path: Path) -> None:
    program = "import socket, sys; s = socket.socket(1); s.connect(sys.argv[1]); s.recv(1)"
    with Door(tmp_path, os.getuid()) as door:
        path = str(tmp_path / HOST_SOCKET)
        with (
            subprocess.Popen([sys.executable, "-c", program, path]) as stranger,
            pytest.raises(SandboxError, match="instead of the container's first process"),
        ):
            door.accept(os.getpid, 5)
    assert stranger.returncode == 0


def test_a_container_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    with (
        Door(tmp_path, os.getuid()) as door,
        pytest.raises(SandboxError, match="ended before its tool host connected"),
    ):
        door.accept(lambda: 0, 60)


def test_a_tool_host_that_never_comes_is_given_up(tmp_path: Path) -> None:
    with (
        Door(tmp_path, os.getuid()) as door,
        pytest.raises(SandboxError, match="did not connect within"),
    ):
        door.accept(os.getpid, 0)


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    with Door(deep, os.getuid()):
        assert (deep / HOST_SOCKET).is_socket()


@pytest.mark.root
def test_only_the_sandboxs_user_may_connect(tmp_path: Path) -> None:
    with Door(tmp_path, 64101):
        found = (tmp_path / HOST_SOCKET).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (64101, 0o600)


def test_a_folder_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot listen at"):
        Door(tmp_path / "gone", os.getuid())
