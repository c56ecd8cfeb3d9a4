"""Sabotage twins: a control is taken away in a container of the test's own; the attack works.

Nothing in the package can do this; the configuration is changed here, after it was made.
"""

import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from trilemma.sandbox.container import Settings, configuration
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

SOURCE = (Path(__file__).parent / "attacks" / "attacks.py").read_text()

Config = dict[str, Any]
Sabotage = Callable[[Config], None]


class Bare:
    """A container with a sandbox's configuration, but the attack instead of the tool host."""

    def __init__(self, api: Any, runtime: RuntimeDir, image: str) -> None:
        self.api = api
        self.runtime = runtime
        self.image = image

    def run(self, sabotage: Sabotage, attack: str, argument: str = "") -> str:
        """How the attack ended: ``done``, ``refused``, or what a program that ran has left."""
        spec = SandboxSpec(frozenset(), Exec.NEVER, Egress.NONE, None, self.image)
        name = f"trilemma-twin-{secrets.token_hex(6)}"
        config = configuration(Settings(spec, name, self.runtime.instance, self.runtime.exchange()))
        # A program that takes the process over cannot say so by itself.
        speak = f"CANARY = '/tmp/canary'; SPEAK = {SPEAK!r}"
        source = SOURCE.replace(
            'if __name__ == "__main__":', f'{speak}\nif __name__ == "__main__":'
        )
        config["Entrypoint"] = ["/usr/bin/python3", "-I", "-S", "-c", source, attack, argument]
        config["HostConfig"] |= {"AutoRemove": False, "LogConfig": {"Type": "json-file"}}
        sabotage(config)
        container = self.api.create_container_from_config(config, name)["Id"]
        try:
            self.api.start(container)
            self.api.wait(container, timeout=30)
            return str(self.api.logs(container, stderr=False).decode().strip())
        finally:
            self.api.remove_container(container, force=True)


SPEAK = "print('done')"


@pytest.fixture
def bare(engine: Engine, runtime: RuntimeDir, base_image: str) -> Iterator[Bare]:
    api = docker.APIClient(version="auto")
    yield Bare(api, runtime, base_image)
    api.close()


def nothing(config: Config) -> None:
    """The Engine's walls all stand; only the tool host's lock is missing."""


def no_seccomp(config: Config) -> None:
    config["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true", "seccomp=unconfined"]


def host_network(config: Config) -> None:
    no_seccomp(config)
    config["NetworkDisabled"] = False
    config["HostConfig"]["NetworkMode"] = "host"


def executable_scratch(config: Config) -> None:
    options = config["HostConfig"]["Tmpfs"]["/tmp"]
    config["HostConfig"]["Tmpfs"]["/tmp"] = options.replace("noexec", "exec")


def writable_root(config: Config) -> None:
    config["User"] = "0:0"
    config["HostConfig"]["ReadonlyRootfs"] = False


def administrator(config: Config) -> None:
    no_seccomp(config)
    config["User"] = "0:0"
    config["HostConfig"] |= {"CapAdd": ["SYS_ADMIN", "SYS_CHROOT", "MKNOD", "DAC_OVERRIDE"]}


def visible_hardware(config: Config) -> None:
    config["HostConfig"]["MaskedPaths"] = []


def writable_proc(config: Config) -> None:
    config["HostConfig"]["ReadonlyPaths"] = []


def more_open_files(config: Config) -> None:
    config["HostConfig"]["Ulimits"] = [{"Name": "nofile", "Soft": 8192, "Hard": 8192}]


@pytest.mark.parametrize(
    ("attack", "argument", "sabotage"),
    [
        ("exec_elf", "", nothing),
        ("exec_loader", "", nothing),
        ("map_code", "", nothing),
        ("protect_code", "", nothing),
        ("unix_socket", "", nothing),
        ("set_user_id", "/tmp/set-id", nothing),
        ("set_user_id_at_birth", "/tmp/set-id", nothing),
        ("set_user_id_unseen", "/tmp/set-id", nothing),
    ],
)
def test_without_the_lock_of_the_tool_host(
    bare: Bare, attack: str, argument: str, sabotage: Sabotage
) -> None:
    assert bare.run(sabotage, attack, argument) == "done"


@pytest.mark.parametrize(
    ("attack", "argument", "sabotage"),
    [
        ("exec_copy", "/tmp/copy", executable_scratch),
        ("load_library", "/tmp/library.so", executable_scratch),
        ("exec_memfd", "", no_seccomp),
        ("ipv4_socket", "", no_seccomp),
        ("ipv6_socket", "", no_seccomp),
        ("udp_socket", "", no_seccomp),
        ("netlink_socket", "", no_seccomp),
        ("make_fifo", "/tmp/fifo", no_seccomp),
        ("make_socket_file", "/tmp/listening", no_seccomp),
        ("mark", "/tmp", no_seccomp),
        ("keys", "", no_seccomp),
        ("user_namespace", "", no_seccomp),
        ("page_faults", "", no_seccomp),
        ("mount", "", administrator),
        ("change_root", "", administrator),
        ("make_device", "/tmp/device", administrator),
        ("become_root", "", administrator),
        ("write_root", "", writable_root),
        ("see_hardware", "", visible_hardware),
        ("overwrite_code", "", writable_proc),
        ("more_files", "", more_open_files),
    ],
)
def test_without_a_wall_of_the_engine(
    bare: Bare, attack: str, argument: str, sabotage: Sabotage
) -> None:
    assert bare.run(nothing, attack, argument) == "refused"
    assert bare.run(sabotage, attack, argument) == "done"


def test_with_a_network_the_canary_arrives(bare: Bare, canaries: Any) -> None:
    server = canaries(socket.AF_INET, ("127.0.0.1", 0))
    host, port = server.address
    assert bare.run(nothing, "connect", f"{host}:{port}") == "refused"
    assert server.arrived == []
    assert bare.run(host_network, "connect", f"{host}:{port}") == "done"
    assert server.wait() == [b"canary"]


def test_without_the_lock_a_planted_socket_leads_out_of_a_read_only_mount(
    bare: Bare, canaries: Any, tmp_path: Path
) -> None:
    def read_only_mount(config: Config) -> None:
        mount = {"Type": "bind", "Source": str(tmp_path), "Target": "/workspace", "ReadOnly": True}
        config["HostConfig"]["Mounts"].append(mount)

    server = canaries(socket.AF_UNIX, str(tmp_path / "agent.sock"))
    (tmp_path / "agent.sock").chmod(0o777)
    tmp_path.chmod(0o755)
    assert bare.run(read_only_mount, "connect_planted", "/workspace/agent.sock") == "done"
    assert server.wait() == [b"canary"]


def test_with_a_host_mount_the_secret_is_read(bare: Bare, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tmp_path.chmod(0o755)

    def host_mount(config: Config) -> None:
        mount = {"Type": "bind", "Source": str(tmp_path), "Target": str(tmp_path)}
        config["HostConfig"]["Mounts"].append(mount)

    assert bare.run(nothing, "read_file", f"{tmp_path}/secret") == "refused"
    assert bare.run(host_mount, "read_file", f"{tmp_path}/secret") == "done"
