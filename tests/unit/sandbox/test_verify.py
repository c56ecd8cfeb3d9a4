"""Verification on evidence alone: one thing is changed, and it is found."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxRefused
from trilemma.policy.capability import ALL, CapabilitySet, parse
from trilemma.sandbox.container import Settings, configuration
from trilemma.sandbox.evidence import Evidence
from trilemma.sandbox.proc import MountPoint, Process
from trilemma.sandbox.profile import CODE, derive
from trilemma.sandbox.report import Attempted, SelfTest
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.verify import findings, verify

IMAGE = "sha256:" + "1" * 64
ZERO = frozenset({"0" * 16})


def settings(*names: str) -> Settings:
    code, files = "code" in names, "files" in names
    spec = SandboxSpec(
        capabilities=parse(names),
        exec=Exec.FREE if code else Exec.NEVER,
        egress=Egress.STRUCTURED if "internet" in names else Egress.NONE,
        mount=Mount(Path("/views/1"), True, 64101, 64101) if files else None,
        image=IMAGE,
    )
    return Settings(spec, "trilemma-x", "instance", Path("/run/x"), "trilemma-host-x")


def inspect_of(settings: Settings) -> dict[str, Any]:
    """What an engine says about a container that is exactly as configured."""
    config = configuration(settings)
    host = config.pop("HostConfig")
    entrypoint = config["Entrypoint"]
    return {
        "Image": IMAGE,
        "Path": entrypoint[0],
        "Args": entrypoint[1:],
        "ExecIDs": None,
        "Config": config,
        "HostConfig": host | {"Privileged": False, "Devices": [], "ConsoleSize": [0, 0]},
        "NetworkSettings": {"Networks": {}},
    }


def mount(target: str, kind: str, *flags: str) -> MountPoint:
    return MountPoint(target, kind, "/", "0:1", frozenset(flags))


def good(settings: Settings) -> Evidence:
    code = settings.spec.exec is Exec.FREE
    noexec = () if code else ("noexec",)
    process = Process(
        pid=100,
        seccomp=2,
        filters=2,
        no_new_privileges=True,
        capabilities=ZERO,
        uids=frozenset({64101}),
        gids=frozenset({64101}),
    )
    mounts = [
        mount("/", "overlay", "ro"),
        mount("/proc", "proc", "ro", "nosuid", "nodev", "noexec"),
        mount("/proc/sys", "proc", "ro", "nosuid", "nodev", "noexec"),
        mount("/dev", "tmpfs", "rw", "nosuid"),
        mount("/dev/shm", "tmpfs", "rw", "nosuid", "nodev", "noexec"),
        mount("/sys", "sysfs", "ro", "nosuid", "nodev", "noexec"),
        mount("/sys/fs/cgroup/pids", "cgroup", "ro"),
        mount("/sys", "tmpfs", "ro"),
        mount("/tmp", "tmpfs", "rw", "nosuid", "nodev", *noexec),
        mount("/opt/trilemma", "ext4", "ro", "nosuid", "nodev"),
        mount("/run/trilemma", "tmpfs", "ro"),
        mount("/etc/hostname", "ext4", "ro"),
    ]
    if settings.spec.mount is not None:
        mounts.append(mount("/workspace", "overlay", "ro", "nosuid", "nodev", *noexec))
    outcome = "allowed" if code else "refused"
    attempts = tuple(Attempted(name, outcome, outcome, "") for name in CODE)
    return Evidence(
        inspect=inspect_of(settings),
        processes=(process, replace(process, pid=101)),
        filters=None,
        security=frozenset({"seccomp"}),
        labels={100: "", 101: ""},
        mounts=tuple(mounts),
        interfaces=frozenset({"lo"}),
        shared_namespaces=frozenset(),
        self_test=SelfTest(attempts, (), "3.11", "x86_64"),
    )


PROFILES = [
    (),
    ("files",),
    ("internet",),
    ("code",),
    ("files", "internet"),
    ("files", "code"),
    ("internet", "code"),
]


@pytest.mark.parametrize("names", PROFILES)
def test_a_sandbox_as_it_should_be_passes_and_amounts_to_its_spec(names: tuple[str, ...]) -> None:
    if names == ("internet", "code"):
        chosen = replace(settings("code"), spec=tunnel())
    else:
        chosen = settings(*names)
    evidence = good(chosen)
    assert list(findings(evidence, chosen)) == []
    assert derive(evidence, chosen.spec.egress) == parse(names)


def tunnel() -> SandboxSpec:
    return replace(
        settings("code").spec, capabilities=parse(["internet", "code"]), egress=Egress.TUNNEL
    )


def with_process(**changes: Any) -> Callable[[Evidence], Evidence]:
    """The second process: a sandbox is not only its first."""
    return lambda e: replace(e, processes=(e.processes[0], replace(e.processes[1], **changes)))


def with_mount(target: str, *flags: str) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(
        e,
        mounts=tuple(
            replace(m, flags=frozenset(flags)) if m.target == target else m for m in e.mounts
        ),
    )


def with_peers(target: str, group: str = "", follows: str = "") -> Callable[[Evidence], Evidence]:
    return lambda e: replace(
        e,
        mounts=tuple(
            replace(m, group=group, follows=follows) if m.target == target else m for m in e.mounts
        ),
    )


def another_mount(target: str) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, mounts=(*e.mounts, mount(target, "ext4", "ro")))


def attempted(outcome: str, detail: str = "") -> Callable[[Evidence], Evidence]:
    surprise = Attempted("open a door", "refused", outcome, detail)

    def change(evidence: Evidence) -> Evidence:
        attempts = (*evidence.self_test.attempts, surprise)
        return replace(evidence, self_test=replace(evidence.self_test, attempts=attempts))

    return change


WITNESSES = {
    "an unlocked process": with_process(filters=1),
    "a process without a filter": with_process(seccomp=0, filters=0),
    "a process that may gain privileges": with_process(no_new_privileges=False),
    "a process with a capability": with_process(capabilities=frozenset({"0" * 15 + "1"})),
    "a process of root": with_process(uids=frozenset({0, 64101})),
    "a process in another group": with_process(gids=frozenset({0})),
    "no process": lambda e: replace(e, processes=()),
    "a weaker lock": lambda e: replace(e, filters={100: (b"engine", b"weaker")}),
    "no AppArmor where the host has it": lambda e: replace(e, security=frozenset({"apparmor"})),
    "a writable root": with_mount("/", "rw"),
    "an executable scratch": with_mount("/tmp", "rw", "nosuid", "nodev"),
    "a scratch with devices": with_mount("/tmp", "rw", "nosuid", "noexec"),
    "a writable exchange": with_mount("/run/trilemma", "rw"),
    "a writable workspace": with_mount("/workspace", "rw", "nosuid", "nodev", "noexec"),
    "an executable workspace": with_mount("/workspace", "ro", "nosuid", "nodev"),
    "a workspace with devices": with_mount("/workspace", "ro", "nosuid", "noexec"),
    "a writable hostname": with_mount("/etc/hostname", "rw"),
    "another mount": another_mount("/mnt"),
    "an exchange that follows the host": with_peers("/run/trilemma", follows="1"),
    "a scratch that follows the host": with_peers("/tmp", follows="1"),
    "a workspace that follows the host": with_peers("/workspace", follows="1"),
    "a root that is shared with the host": with_peers("/", group="1"),
    "a workspace that is shared with the host": with_peers("/workspace", group="1"),
    "a mount in the workspace": another_mount("/workspace/more"),
    "an interface": lambda e: replace(e, interfaces=frozenset({"lo", "eth0"})),
    "a shared namespace": lambda e: replace(e, shared_namespaces=frozenset({"net"})),
    "a surprise in the self-test": attempted("allowed"),
    "a broken self-test": attempted("refused", "broken: ImportError()"),
    "an empty self-test": lambda e: replace(e, self_test=replace(e.self_test, attempts=())),
}


@pytest.mark.parametrize("change", WITNESSES.values(), ids=WITNESSES)
def test_one_difference_is_enough(change: Callable[[Evidence], Evidence]) -> None:
    chosen = settings("files")
    with pytest.raises(SandboxRefused, match="the sandbox was destroyed"):
        verify(change(good(chosen)), chosen)


FIELDS = [
    ("Image", "sha256:" + "2" * 64),
    ("Args", ["-c", "evil"]),
    ("Config.User", "0:0"),
    ("Config.Env", ["LD_PRELOAD=/tmp/x.so"]),
    ("Config.Volumes", {"/data": {}}),
    ("HostConfig.Privileged", True),
    ("HostConfig.CapAdd", ["SYS_ADMIN"]),
    ("HostConfig.NetworkMode", "bridge"),
    ("HostConfig.PidMode", "host"),
    ("HostConfig.UsernsMode", "host"),
    ("HostConfig.Devices", [{"PathOnHost": "/dev/kvm"}]),
    ("HostConfig.DeviceRequests", [{"Driver": "nvidia"}]),
    ("HostConfig.Binds", ["/:/host"]),
    ("HostConfig.VolumesFrom", ["other"]),
    ("HostConfig.ExtraHosts", ["metadata:169.254.169.254"]),
    ("HostConfig.Sysctls", {"net.ipv4.ip_forward": "1"}),
    ("HostConfig.GroupAdd", ["docker"]),
    ("HostConfig.PortBindings", {"80/tcp": [{}]}),
    ("HostConfig.SomethingThatComesInYears", {"enabled": True}),
    ("HostConfig.ReadonlyRootfs", False),
    ("HostConfig.SecurityOpt", ["no-new-privileges:true", "seccomp={}"]),
    ("HostConfig.OomKillDisable", True),
    ("NetworkSettings.Networks", {"bridge": {}}),
]


@pytest.mark.parametrize(("path", "value"), FIELDS, ids=[path for path, _ in FIELDS])
def test_every_field_of_the_engine_is_looked_at(path: str, value: object) -> None:
    chosen = settings()
    evidence = good(chosen)
    section, _, name = path.rpartition(".")
    target: Any = evidence.inspect if not section else evidence.inspect[section]
    target[name] = value
    found = [finding.what for finding in findings(evidence, chosen)]
    assert path in found or (name == "SecurityOpt" and found == ["the seccomp profile"])


@pytest.mark.parametrize(
    ("change", "amounts"),
    [
        (lambda e: e, parse([])),
        (another_mount("/mnt"), parse(["files"])),
        (lambda e: replace(e, interfaces=frozenset({"lo", "eth0"})), parse(["internet"])),
        (with_process(filters=1), parse(["code"])),
        (with_process(seccomp=0), ALL),
        (with_process(capabilities=frozenset({"1" * 16})), ALL),
        (lambda e: replace(e, shared_namespaces=frozenset({"pid"})), ALL),
    ],
)
def test_what_it_amounts_to_is_read_from_the_evidence(
    change: Callable[[Evidence], Evidence], amounts: CapabilitySet
) -> None:
    assert derive(change(good(settings())), Egress.NONE) == amounts
