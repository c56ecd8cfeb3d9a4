"""The real thing, tried in a real container of each of the seven profiles."""

import hashlib
import itertools
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.policy.capability import Capability, CapabilitySet, show
from trilemma.sandbox.base import CallResult, ModuleEntry, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec, ToolModule
from trilemma.sandbox.views import ViewMaker

pytestmark = [pytest.mark.docker, pytest.mark.root]

SOURCE = (Path(__file__).parent / "attacks" / "attacks.py").read_text()
ATTACKS = ToolModule("attacks", SOURCE, hashlib.sha256(SOURCE.encode()).hexdigest())

PROFILES = [
    frozenset(profile) for size in (0, 1, 2) for profile in itertools.combinations(Capability, size)
]

ALWAYS_REFUSED = """
    raw_socket packet_socket netlink_socket vsock_socket alg_socket resolve
    make_device make_fifo make_socket_file mark overwrite_code
    set_user_id set_user_id_at_birth set_user_id_unseen
    trace read_memory read_descriptors become_root mount user_namespace join_namespace change_root
    ring keys page_faults program_kernel file_handle write_root write_kernel_setting see_hardware
    kill_first more_files connect connect_planted send_planted
"""

CODE_ONLY = """
    ipv4_socket ipv6_socket udp_socket exec_memfd map_code protect_code load_library
    exec_elf exec_loader exec_copy
"""

calls = itertools.count()


@dataclass(frozen=True)
class Host:
    """What lies on the host: a secret, a folder with traps, a server that keeps what arrives."""

    folder: Path
    secret: Path
    address: str
    arrived: list[bytes]


@pytest.fixture
def host(tmp_path: Path, canaries: Any) -> Host:
    folder = tmp_path / "folder"
    folder.mkdir()
    secret = tmp_path / "secret.txt"
    secret.write_text("host secret")
    (folder / "note.txt").write_text("in the workspace")
    (folder / "out").symlink_to(secret)
    script = folder / "script"
    script.write_text("#!/usr/bin/python3\nopen('/tmp/canary', 'w').write('ran')\n")
    script.chmod(0o755)
    server = canaries(socket.AF_INET, ("0.0.0.0", 0))
    return Host(folder, secret, f"127.0.0.1:{server.address[1]}", server.arrived)


@pytest.fixture
def views(runtime: RuntimeDir) -> Iterator[ViewMaker]:
    maker = ViewMaker(runtime.path)
    yield maker
    maker.close()


def spec(profile: CapabilitySet, image: str, mount: Mount | None) -> SandboxSpec:
    """The sandbox that a profile means."""
    code = Capability.CODE in profile
    internet = Egress.TUNNEL if code else Egress.STRUCTURED
    return SandboxSpec(
        capabilities=profile,
        exec=Exec.FREE if code else Exec.NEVER,
        egress=internet if Capability.INTERNET in profile else Egress.NONE,
        mount=mount,
        image=image,
        modules=(ATTACKS,),
    )


def attempt(sandbox: Sandbox, name: str, argument: str = "") -> CallResult:
    return sandbox.call(
        SandboxCall(
            id=f"call-{next(calls)}",
            entry=ModuleEntry("attacks", "attempt"),
            arguments={"name": name, "argument": argument},
            seconds=20,
        )
    )


def done(sandbox: Sandbox, name: str, argument: str = "") -> bool:
    """Whether an attack succeeded, by its effect where it turns the process into another."""
    attempt(sandbox, "clear")
    result = attempt(sandbox, name, argument)
    if name.startswith("exec_"):
        canary = attempt(sandbox, "read_file", "/tmp/canary")
        return bool(canary.value["outcome"] == "done" and canary.value["detail"] == "ran")
    assert result.error is None, (name, result.error)
    return bool(result.value["outcome"] == "done")


ARGUMENTS = {
    "make_device": "/tmp/device",
    "make_fifo": "/tmp/fifo",
    "make_socket_file": "/tmp/listening",
    "mark": "/tmp",
    "set_user_id": "/tmp/set-id",
    "set_user_id_at_birth": "/tmp/set-id-at-birth",
    "set_user_id_unseen": "/tmp/set-id-unseen",
    "exec_copy": "/tmp/copy",
    "load_library": "/tmp/library.so",
    "connect_planted": "/tmp/none",
    "send_planted": "/tmp/none",
}


@pytest.mark.parametrize("profile", PROFILES, ids=show)
def test_every_attack_in_every_profile(
    profile: CapabilitySet,
    backend: DockerBackend,
    views: ViewMaker,
    host: Host,
    base_image: str,
    code_image: str,
) -> None:
    code = Capability.CODE in profile
    mount = None
    if Capability.FILES in profile:
        mount = views.direct_view(Folder.at(host.folder), read_only=True, exec=code).mount
    sandbox = backend.create(spec(profile, code_image if code else base_image, mount))
    arguments = {**ARGUMENTS, "connect": host.address}

    succeeded = {n for n in ALWAYS_REFUSED.split() if done(sandbox, n, arguments.get(n, ""))}
    # A tunnel needs its relay to reach the proxy; then no folder with other sockets is there.
    tunnel = sandbox.spec.egress is Egress.TUNNEL
    assert succeeded <= ({"make_socket_file"} if tunnel else set())

    assert done(sandbox, "unix_socket") is tunnel
    for name in CODE_ONLY.split():
        assert done(sandbox, name, arguments.get(name, "")) is code, name

    for path in ("/etc/shadow", str(host.secret), "/proc/1/root/etc/passwd", "/workspace/out"):
        assert not done(sandbox, "read_file", path), path
    assert done(sandbox, "read_file", "/workspace/note.txt") is (mount is not None)
    assert done(sandbox, "exec_script", "/workspace/script") is (code and mount is not None)
    for path in ("/workspace/new", "/opt/trilemma/new", "/run/trilemma/new", "/etc/new"):
        assert not done(sandbox, "write_file", path), path
    assert done(sandbox, "write_file", "/tmp/new")
    assert sorted(os.listdir(host.folder)) == ["note.txt", "out", "script"]
    assert host.arrived == []


def test_every_attack_where_vetted_commands_run(
    backend: DockerBackend, views: ViewMaker, host: Host, code_image: str
) -> None:
    """A container for commands holds a shell; nothing but the pinned command gets to run it."""
    profile = frozenset({Capability.FILES})
    mount = views.direct_view(Folder.at(host.folder), read_only=True, exec=False).mount
    sandbox = backend.create(replace(spec(profile, code_image, mount), exec=Exec.ONCE))
    arguments = {**ARGUMENTS, "connect": host.address, "exec_script": "/workspace/script"}
    names = f"{ALWAYS_REFUSED} {CODE_ONLY} unix_socket exec_script".split()
    assert not {name for name in names if done(sandbox, name, arguments.get(name, ""))}
    assert host.arrived == []


def test_a_socket_in_the_folder_is_out_of_reach(
    backend: DockerBackend,
    views: ViewMaker,
    host: Host,
    canaries: Any,
    base_image: str,
    code_image: str,
) -> None:
    sandboxes = []
    for more in ((), (Capability.INTERNET,), (Capability.CODE,)):
        image = code_image if more == (Capability.CODE,) else base_image
        view = views.direct_view(Folder.at(host.folder), read_only=False, exec=image == code_image)
        sandboxes.append(
            backend.create(spec(frozenset({Capability.FILES, *more}), image, view.mount))
        )
    # Planted after the views were made: nothing has masked it.
    path = host.folder / "agent.sock"
    server = canaries(socket.AF_UNIX, str(path))
    path.chmod(0o777)
    for sandbox in sandboxes:
        assert not done(sandbox, "connect_planted", "/workspace/agent.sock")
        assert not done(sandbox, "send_planted", "/workspace/agent.sock")
    assert server.arrived == []


def test_a_writable_folder_takes_files_and_nothing_that_runs(
    backend: DockerBackend, views: ViewMaker, host: Host, base_image: str
) -> None:
    mount = views.direct_view(Folder.at(host.folder), read_only=False, exec=False).mount
    sandbox = backend.create(spec(frozenset({Capability.FILES}), base_image, mount))
    assert done(sandbox, "write_file", "/workspace/new")
    assert (host.folder / "new").read_text() == "canary"
    for name in ("make_device", "make_fifo", "make_socket_file", "exec_copy", "load_library"):
        assert not done(sandbox, name, f"/workspace/{name}"), name
    assert not done(sandbox, "mark", "/workspace")
    assert not done(sandbox, "write_file", "/workspace/out")
    assert host.secret.read_text() == "host secret"
