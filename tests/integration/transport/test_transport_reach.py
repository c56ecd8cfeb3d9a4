"""Engines are reached over ssh and TLS, and what stands in the way is said in one line."""

import tempfile
from pathlib import Path

import pytest
from tests.integration.transport.servers import SshServer, TlsServer

from trilemma.errors import EngineMissing
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images.engine import engine as image_engine
from trilemma.sandbox.images.identity import ImageId
from trilemma.sandbox.transport import choose

pytestmark = [pytest.mark.docker]


def refusal() -> str:
    with pytest.raises(EngineMissing) as refused:
        Engine()
    text = str(refused.value)
    assert "\n" not in text
    return text


def is_reached_over_stdio(engine: Engine) -> None:
    """The engine that ``DOCKER_HOST`` names now is this very one, and shares nothing with us."""
    there = Engine()
    try:
        assert there.info()["ID"] == engine.info()["ID"]
        assert choose(there).stdio
    finally:
        there.close()


def test_an_engine_behind_ssh_is_the_engine(
    ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    ssh_server.elsewhere().use(monkeypatch)
    is_reached_over_stdio(engine)
    assert not choose(engine).stdio


def test_nothing_of_a_closed_connection_stays(
    ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_server.elsewhere().use(monkeypatch)
    there = Engine()
    forward = there._way._forward
    assert forward is not None
    process = forward._process
    assert Path(there._way.address.path).is_socket()
    assert not folders()
    there.close()
    assert process.returncode is not None
    assert not Path(there._way.address.path).is_socket()


def folders() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("trilemma-ssh-*"))


def test_a_connection_that_broke_is_made_again(
    ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_server.elsewhere().use(monkeypatch)
    there = Engine()
    try:
        forward = there._way._forward
        assert forward is not None
        forward._process.kill()
        forward._process.wait()
        assert there.info()["ID"]
    finally:
        there.close()


def test_an_unknown_host_key(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh_server.elsewhere(known="nothing").use(monkeypatch)
    assert f"connect once by hand to check it: ssh -p {ssh_server.port} " in refusal()
    assert not (ssh_server.folder / "nothing").exists()


def test_a_key_that_is_not_let_in(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh_server.elsewhere(key="stranger").use(monkeypatch)
    assert "it accepts no key of yours" in refusal()


def test_no_server_there(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh_server.elsewhere().use(monkeypatch)
    monkeypatch.setenv("DOCKER_HOST", "ssh://127.0.0.1:1")
    assert "no ssh server listens there" in refusal()


def test_no_engine_behind_the_server(
    ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_server.elsewhere().use(monkeypatch)
    monkeypatch.setenv("DOCKER_HOST", f"{ssh_server.address}/nowhere.sock")
    assert "no container engine answers at ssh://" in refusal()


def test_no_ssh_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://127.0.0.1")
    monkeypatch.setenv("PATH", "/nowhere")
    assert "on Debian install openssh-client" in refusal()


@pytest.mark.parametrize("address", ["ssh://-oProxyCommand=x", "ssh://-x@host", "ftp://host", "x"])
def test_what_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert repr(address) in refusal()


def test_an_engine_with_tls_is_the_engine(
    tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    tls_server.elsewhere().use(monkeypatch)
    is_reached_over_stdio(engine)


@pytest.mark.parametrize("who", ["stranger", "mistaken"])
def test_certificates_count_on_both_sides(
    who: str, tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls_server.elsewhere(who).use(monkeypatch)
    assert "no container engine answers at tcp://" in refusal()


def test_images_go_to_that_engine(
    ssh_server: SshServer, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_server.elsewhere().use(monkeypatch)
    with image_engine() as images:
        archive = list(images.save(ImageId(base_image)))
        images.load(iter(archive))
