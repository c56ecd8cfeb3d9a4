"""A container that is not what its spec says is refused before its first call, and is gone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import ImageMissing, SandboxError, SandboxRefused
from trilemma.policy.capability import NONE, parse
from trilemma.sandbox import docker as backend_module
from trilemma.sandbox.container import ENVIRONMENT, Settings, configuration
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.images.engine import engine as images_engine
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec

pytestmark = [pytest.mark.docker, pytest.mark.root]

Config = dict[str, Any]

DEVICE = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}


def host(**changes: Any) -> Callable[[Config], None]:
    """A change to the host configuration."""

    def change(config: Config) -> None:
        config["HostConfig"] |= changes

    return change


def top(**changes: Any) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config |= changes

    return change


def host_network(config: Config) -> None:
    config["NetworkDisabled"] = False
    config["HostConfig"]["NetworkMode"] = "host"


def host_names(config: Config) -> None:
    del config["Hostname"]
    config["HostConfig"]["UTSMode"] = "host"


def more_mounts(config: Config) -> None:
    mount = {"Type": "bind", "Source": "/etc", "Target": "/mnt", "ReadOnly": True}
    config["HostConfig"]["Mounts"].append(mount)


def executable_scratch(config: Config) -> None:
    options = config["HostConfig"]["Tmpfs"]["/tmp"]
    config["HostConfig"]["Tmpfs"] = {"/tmp": options.replace("noexec", "exec")}


def other_tree(config: Config) -> None:
    """The same files, from the volume without flags."""
    tree = config["HostConfig"]["Mounts"][0]
    with images_engine() as client:
        found = client.volume(tree["Source"])
    assert found is not None
    tree["Source"] = found["Labels"]["dev.trilemma.host.files"]


def writable_tree(config: Config) -> None:
    """Bound from the host, at the same place."""
    tree = config["HostConfig"]["Mounts"][0]
    with images_engine() as client:
        found = client.volume(tree["Source"])
    assert found is not None
    tree |= {"Type": "bind", "Source": found["Options"]["device"]}
    del tree["VolumeOptions"]


SABOTAGE = {
    "privileged": host(Privileged=True),
    "a capability": host(CapAdd=["NET_RAW"]),
    "a kept capability": host(CapDrop=[]),
    "network": host_network,
    "host processes": host(PidMode="host"),
    "host ipc": host(IpcMode="host"),
    "host names": host_names,
    "no seccomp": host(SecurityOpt=["no-new-privileges:true", "seccomp=unconfined"]),
    "Docker's own seccomp": host(SecurityOpt=["no-new-privileges:true"]),
    "new privileges": host(SecurityOpt=[]),
    "writable root": host(ReadonlyRootfs=False),
    "another tool host": other_tree,
    "a writable tool host": writable_tree,
    "executable scratch": executable_scratch,
    "another mount": more_mounts,
    "a device": host(Devices=[DEVICE]),
    "visible hardware": host(MaskedPaths=[]),
    "more memory": host(Memory=0, MemorySwap=0),
    "more processes": host(PidsLimit=0),
    "another user": top(User="12345:12345"),
    "another group": host(GroupAdd=["0"]),
    "more environment": top(Env=[*ENVIRONMENT, "TOKEN=x"]),
    "a health check": top(Healthcheck={"Test": ["CMD", "/usr/bin/python3", "-c", ""]}),
    "an init": host(Init=True),
}


def spec(image: str, **changes: Any) -> SandboxSpec:
    chosen: dict[str, Any] = {
        "capabilities": NONE,
        "exec": Exec.NEVER,
        "egress": Egress.NONE,
        "mount": None,
        "image": image,
    }
    return SandboxSpec(**(chosen | changes))


@pytest.mark.parametrize("sabotage", SABOTAGE.values(), ids=SABOTAGE)
def test_a_stronger_container_is_refused_and_gone(
    sabotage: Callable[[Config], None],
    backend: DockerBackend,
    runtime: RuntimeDir,
    engine: Engine,
    base_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sabotaged(settings: Settings) -> Config:
        config = configuration(settings)
        sabotage(config)
        return config

    monkeypatch.setattr(backend_module, "configuration", sabotaged)
    with pytest.raises(SandboxError) as caught:
        backend.create(spec(base_image))
    assert "\n" not in str(caught.value)
    assert engine.containers(f"dev.trilemma.instance={runtime.instance}") == ()
    assert [path.name for path in runtime.path.iterdir()] == ["views"]


def test_the_refusal_says_what_was_found(
    backend: DockerBackend, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotaged(settings: Settings) -> Config:
        config = configuration(settings)
        host_network(config)
        return config

    monkeypatch.setattr(backend_module, "configuration", sabotaged)
    with pytest.raises(SandboxRefused, match="NetworkMode is 'host', not 'none'"):
        backend.create(spec(base_image))


def test_twin_without_the_check_it_would_serve_calls(
    backend: DockerBackend, engine: Engine, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotaged(settings: Settings) -> Config:
        config = configuration(settings)
        host_network(config)
        return config

    monkeypatch.setattr(backend_module, "configuration", sabotaged)
    monkeypatch.setattr(backend_module, "verify", lambda evidence, settings: None)
    sandbox = backend.create(spec(base_image))
    inspect = engine.inspect(sandbox.id)
    assert inspect is not None
    assert inspect["HostConfig"]["NetworkMode"] == "host"


def test_a_view_without_its_flags_is_refused(
    backend: DockerBackend, base_image: str, tmp_path: Path
) -> None:
    mount = Mount(tmp_path, read_only=True, uid=64101, gid=64101)
    with pytest.raises(SandboxRefused, match="/workspace"):
        backend.create(spec(base_image, mount=mount, capabilities=parse(["files"])))


@pytest.mark.parametrize("image", ["", "sha256:" + "0" * 64, "debian:bookworm"])
def test_a_missing_image_is_not_pulled(backend: DockerBackend, image: str) -> None:
    with pytest.raises(ImageMissing, match="trilemma image build"):
        backend.create(spec(image))


def test_a_tag_is_not_an_image_id(backend: DockerBackend, engine: Engine, base_image: str) -> None:
    tag = engine.image(base_image)["RepoTags"][0]
    with pytest.raises(SandboxRefused, match="cannot be used"):
        backend.create(spec(tag))
